package discover

import "regexp"

var (
	// A label's value is one of these in Kubernetes.
	buildText   = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$`)
	runtimeText = regexp.MustCompile(`^[a-zA-Z0-9.+-]{1,32}$`)
)

// IsBuild tells whether a word may name a build: up to 63 letters, digits and . _ - as in
// the value of a label.
func IsBuild(word string) bool { return buildText.MatchString(word) }

// IsRuntimeSetting tells whether a word may be what GOGC, GOMEMLIMIT or GOMAXPROCS is set
// to: "off", "400MiB", "2". One that the Go runtime would not take is a mistake worth
// seeing; a text, or what is put together from other variables, is not shown.
func IsRuntimeSetting(word string) bool { return runtimeText.MatchString(word) }
