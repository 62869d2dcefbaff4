package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

// show prints the report, its page, the pprof command and the message, and fails unless
// all of it is what a user was promised.
func (d *demo) show(ctx context.Context, capture string) error {
	var report gopprof.Report
	if err := d.GetJSON(ctx, "/api/v1/reports/"+capture, &report); err != nil {
		return err
	}
	d.printReport(report)
	pprof := d.API + "/api/v1/reports/" + capture + "/profiles/cpu"
	top, err := d.pprofTop(ctx, pprof)
	if err != nil {
		return err
	}
	svg, err := d.Get(ctx, "/api/v1/reports/"+capture+"/drawings/cpu")
	if err != nil {
		return err
	}
	picture, err := d.Get(ctx, api.PathPicture(capture))
	if err != nil {
		return err
	}
	page, err := d.Get(ctx, "/reports/"+capture)
	if err != nil {
		return err
	}
	raw, err := d.Inbox.Await(ctx, capture)
	if err != nil {
		return err
	}
	message, err := short(raw)
	if err != nil {
		return err
	}
	fmt.Printf("\nThe page (and the call graph, %d KB of SVG)\n  %s\n", len(svg)/1024, report.Page)
	fmt.Printf("\nWhat both witnesses saw, drawn\n  %s\n", d.API+api.PathPicture(capture))
	fmt.Printf("\nGo's own tool on the same profile\n  go tool pprof %s\n%s", pprof, indent(top))
	fmt.Printf("\nThe message as %s got it\n%s\n", rig.Owner, indent(message))
	return errors.Join(
		check(report.Capture.Agreement.Result == gopprof.AgreementConfirmed, "the series did not confirm: %+v", report.Capture.Agreement),
		check(hottest(report) == parts.BurnerHotFunction, "the report's first function is %q, not the one that burns", hottest(report)),
		check(strings.Contains(top, parts.BurnerHotFunction), "go tool pprof does not show the function that burns"),
		check(bytes.Contains(svg, []byte("<svg")), "the call graph is no SVG"),
		check(bytes.Contains(picture, []byte("<svg")) && len(report.Capture.History.Series) > 0, "the picture of the evidence shows no series"),
		check(len(report.Explanation.Verdict.Causes) > 0 && report.Explanation.Verdict.Causes[0].Function == parts.BurnerHotFunction, "the verdict is %+v", report.Explanation.Verdict),
		check(bytes.Contains(page, []byte(parts.BurnerHotFunction)), "the page does not name the function that burns"),
		check(report.Page == d.API+"/reports/"+capture, "the report's page is %q", report.Page),
	)
}

func check(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func (d *demo) printReport(r gopprof.Report) {
	evidence := r.Capture.Trigger.Evidence
	fmt.Printf("\nThe report %s\n  %s\n", r.ID, r.Explanation.Summary)
	if v := r.Explanation.Verdict; v != nil {
		for _, c := range v.Causes {
			fmt.Printf("  Why: %s (%s), %.0f %% of it: %s\n", c.Kind, c.Confidence, 100*c.Share, c.Line)
		}
	}
	for _, w := range r.Explanation.Warnings {
		fmt.Printf("  Warning: %s\n", w)
	}
	t := r.Capture.Target
	fmt.Printf("  %s/%s container %s on %s/%s, owner %s\n", t.Namespace, t.Pod, t.Container, t.Cluster, t.Node, t.Owner)
	if evidence != nil {
		for _, w := range evidence.Windows {
			fmt.Printf("  cAdvisor  %s – %s  %.2f of %.2f cores  (%d readings)\n", w.Start.Format("15:04:05"), w.End.Format("15:04:05"), w.CPU.Mean, w.CPU.Limit, w.Readings)
		}
	}
	for _, c := range r.Capture.Agreement.Compared {
		fmt.Printf("  Heapster  %s – %s  %.2f of the limit, cAdvisor over the same interval %.2f: %s\n",
			c.Start.Format("15:04:05"), c.End.Format("15:04:05"), c.Series, c.Local, r.Capture.Agreement.Result)
	}
	for _, p := range r.Explanation.Profiles {
		fmt.Printf("  %s (%s, total %d)\n", p.Kind, p.Unit, p.Total)
		for _, f := range p.Functions[:min(3, len(p.Functions))] {
			fmt.Printf("    %5.1f %% flat %5.1f %% cum  %s\n", percent(f.Flat, p.Total), percent(f.Cum, p.Total), f.Name)
		}
	}
}

func percent(part, total int64) float64 {
	if total == 0 {
		return 0
	}
	return 100 * float64(part) / float64(total)
}

// hottest is the first function of the CPU profile that is not the runtime's.
func hottest(r gopprof.Report) string {
	for _, p := range r.Explanation.Profiles {
		if p.Kind != gopprof.KindCPU {
			continue
		}
		for _, f := range p.Functions {
			if !strings.HasPrefix(f.Name, "runtime.") {
				return f.Name
			}
		}
	}
	return ""
}

func (d *demo) pprofTop(ctx context.Context, url string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount=5", url)
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+d.Dir)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go tool pprof %s: %w", url, err)
	}
	return string(out), nil
}

// short prints the event's head and the report's first lines.
func short(message []byte) (string, error) {
	var event struct {
		SpecVersion, ID, Type, Source, Subject string
		Data                                   struct {
			Page        string
			Explanation struct{ Summary string }
		}
	}
	if err := json.Unmarshal(message, &event); err != nil {
		return "", fmt.Errorf("reading the message: %w", err)
	}
	return fmt.Sprintf("CloudEvent %s, type %s\nid      %s\nsource  %s\nsubject %s\nsummary %s\npage    %s\n(%d bytes in all: the whole report is its data)",
		event.SpecVersion, event.Type, event.ID, event.Source, event.Subject, event.Data.Explanation.Summary, event.Data.Page, len(message)), nil
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ") + "\n"
}
