package manifests

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// APIService is k8s.io/kube-aggregator's type of this name, as far as manifests may use it:
// nothing else here needs that module. Any other field is an error, and so is the one that
// would switch the checking of certificates off.
type APIService struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              APIServiceSpec `json:"spec"`
}

// APIServiceSpec says who serves a version of an API.
type APIServiceSpec struct {
	Group                string            `json:"group"`
	Version              string            `json:"version"`
	GroupPriorityMinimum int32             `json:"groupPriorityMinimum"`
	VersionPriority      int32             `json:"versionPriority"`
	Service              APIServiceBackend `json:"service"`
}

// APIServiceBackend is the Service behind it.
type APIServiceBackend struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Port      int32  `json:"port"`
}

// DeepCopyObject makes it a runtime.Object.
func (a *APIService) DeepCopyObject() runtime.Object {
	out := *a
	a.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	return &out
}

var apiRegistration = schema.GroupVersion{Group: "apiregistration.k8s.io", Version: "v1"}
