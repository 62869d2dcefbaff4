package wire

import (
	"fmt"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// checkAlert bounds what an alert says; whoever took it in has cleaned it. Nil is none.
func checkAlert(a *gopprof.Alert) error {
	if a == nil {
		return nil
	}
	if err := checkNames("alert", a.Name, a.Receiver); err != nil {
		return err
	}
	if err := checkWords("alert", maxWord, a.Fingerprint); err != nil {
		return err
	}
	if err := checkTimes("alert", a.StartsAt); err != nil {
		return err
	}
	if err := checkWords("alert", gopprof.MaxAlertText, a.GeneratorURL); err != nil {
		return err
	}
	if err := checkEntries("labels", a.Labels); err != nil {
		return err
	}
	return checkEntries("annotations", a.Annotations)
}

// withAlertNamed leaves out of an alert all but which one it is.
func withAlertNamed(r gopprof.Report) gopprof.Report {
	if a := r.Capture.Trigger.Alert; a != nil {
		r.Capture.Trigger.Alert = &gopprof.Alert{Name: a.Name, Fingerprint: a.Fingerprint, StartsAt: a.StartsAt, Receiver: a.Receiver}
	}
	return r
}

func checkEntries(field string, entries map[string]string) error {
	if err := checkCount(field, len(entries), gopprof.MaxAlertEntries); err != nil {
		return err
	}
	size := 0
	for name, text := range entries {
		if err := checkWords(field, gopprof.MaxAlertName, name); err != nil {
			return err
		}
		if err := checkWords(field, gopprof.MaxAlertText, text); err != nil {
			return err
		}
		size += len(name) + len(text)
	}
	if size > gopprof.MaxAlertBytes {
		return fmt.Errorf("%s: %w: %d bytes, at most %d", field, ErrTooLarge, size, gopprof.MaxAlertBytes)
	}
	return nil
}
