package hostile

import "strings"

// Annotations are what the author of a pod or namespace may write in order to have the
// agent dial elsewhere, or to have something done where a report is read: each key of ours
// and of our peers with each value that is meant to hurt it.
func Annotations() []map[string]string {
	numbers := []string{"0", "-1", "65536", "99999999999999999999", "80@evil.example", "6060/../x", "0x1F90", "６０６０", "1e3", " 80", "80\n", "NaN", ""}
	paths := []string{
		"@evil.example:80/x", "//evil.example/x", "http://evil.example/", "/debug/../../admin", "/debug/%2e%2e/admin", `\\evil.example\x`, "/x?gc=1", "/x#y",
		"/x\r\nHost: evil.example", "/x y", "/.", "/" + strings.Repeat("a", 10_000), "/\u202e", "/x;y", "/cmdline?debug=2", "relative", "/heap", "/x/profile/heap",
	}
	schemes := []string{"file", "ftp", "unix", "gopher", "javascript", "HTTP", "http\x00", "https://evil.example/", ""}
	addresses := []string{
		"javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "//evil.example/", "/etc/passwd", "https://user:secret@evil.example/", "https://evil.example/\x1b[31m",
		"https://evil.example/\"onmouseover=alert(1)", "https://evil.example/ <script>", "https:evil", "HTTPS://EVIL.EXAMPLE/", "https://[::1%25eth0]/", "https://evil.example/" + strings.Repeat("&", 1900),
		"https://evil.example|Report>", "https://evil.example/](javascript:alert(1))", "http://\u202egpj.exe/", "https://x/\u2028",
	}
	lists := []string{"cpu,,memory", "*", "cpu memory", "cpu\x00", strings.Repeat("cpu,", 10_000), "../../etc"}
	var all []map[string]string
	each := func(values []string, keys ...string) {
		for _, key := range keys {
			for _, value := range values {
				all = append(all, map[string]string{key: value})
			}
		}
	}
	each(numbers, "gopprof.io/port", "profiles.grafana.com/cpu.port", "profefe.com/port", "pyroscope.io/port")
	each(paths, "gopprof.io/path", "profiles.grafana.com/memory.path", "profefe.com/path", "pyroscope.io/profile-cpu-path")
	each(schemes, "gopprof.io/scheme", "profiles.grafana.com/cpu.scheme", "pyroscope.io/scheme")
	each(addresses, "gopprof.io/link-runbook", "gopprof.io/link-<script>", "gopprof.io/link-")
	each(lists, "gopprof.io/rules", "gopprof.io/requests-metric")
	each(Names(), "gopprof.io/requests-metric")
	counted := len(all)
	each(numbers, "gopprof.io/metrics-port")
	each(paths, "gopprof.io/metrics-path")
	for _, a := range all[counted:] {
		a["gopprof.io/requests-metric"] = "http_requests_total"
	}
	each(Names(), "gopprof.io/owner", "gopprof.io/container", "gopprof.io/port-name", "gopprof.io/enabled", "gopprof.io/rules", "kubernetes.io/config.mirror", "kubectl.kubernetes.io/default-container")
	return all
}
