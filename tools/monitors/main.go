// Command monitors decodes objects of the Prometheus operator as strictly as an API server
// with its types does: an unknown field, or one that stands twice, is an error.
//
// One YAML document enters on standard input; nothing leaves but the exit status, and on
// standard error what is wrong. It has a go.mod of its own, so that the product does not
// link the operator's types.
package main

import (
	"fmt"
	"io"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

func main() {
	if err := check(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "monitors:", err)
		os.Exit(1)
	}
}

func check(in io.Reader) error {
	doc, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := monitoring.AddToScheme(scheme); err != nil {
		return err
	}
	_, _, err = serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer().Decode(doc, nil, nil)
	return err
}
