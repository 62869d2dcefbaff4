package resolve

import "k8s.io/apimachinery/pkg/labels"

// Selector reads a label selector as Kubernetes writes it: "app=web,tier!=cache,!canary".
func Selector(selector string) (matches func(map[string]string) bool, err error) {
	s, err := labels.Parse(selector)
	if err != nil {
		return nil, err
	}
	return func(l map[string]string) bool { return s.Matches(labels.Set(l)) }, nil
}
