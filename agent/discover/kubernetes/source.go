package kubernetes

import (
	"context"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	selectors "k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// listTimeout bounds one answer; a watch ends by itself after some minutes.
const listTimeout = 30 * time.Second

// client asks for pods, and knows no other type: client-go's own client would link the
// types of the whole API into every agent.
type client struct {
	rest   *rest.RESTClient
	params runtime.ParameterCodec
}

func newClient(connect *rest.Config) (*client, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	c := rest.CopyConfig(connect)
	c.GroupVersion, c.APIPath = &corev1.SchemeGroupVersion, "/api"
	c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	c.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	c.ContentType = "application/json"
	c.UserAgent = "gopprof-agent"
	r, err := rest.RESTClientFor(c)
	if err != nil {
		return nil, err
	}
	return &client{rest: r, params: runtime.NewParameterCodec(scheme)}, nil
}

// List implements pods.
func (c *client) List(ctx context.Context, opts metav1.ListOptions) (*corev1.PodList, error) {
	list := &corev1.PodList{}
	err := c.rest.Get().Resource("pods").VersionedParams(&opts, c.params).Timeout(listTimeout).Do(ctx).Into(list)
	return list, err
}

// Watch implements pods.
func (c *client) Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	opts.Watch = true
	return c.rest.Get().Resource("pods").VersionedParams(&opts, c.params).Watch(ctx)
}

// source lists and watches the pods of one node for the informer's reflector, which asks
// again for ever, and takes down how each question went.
type source struct {
	api  pods
	node string
	note func(listed bool, err error)
}

var _ cache.ListerWatcherWithContext = (*source)(nil)

// ListWithContext implements cache.ListerWatcherWithContext.
func (s *source) ListWithContext(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
	s.ofNode(&opts)
	list, err := s.api.List(ctx, opts)
	if err != nil {
		err = fmt.Errorf("listing pods: %w", err)
		s.note(false, err)
		return nil, err
	}
	s.note(true, nil)
	return list, nil
}

// WatchWithContext implements cache.ListerWatcherWithContext.
func (s *source) WatchWithContext(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	s.ofNode(&opts)
	w, err := s.api.Watch(ctx, opts)
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) { // it answers: the list is too old to go on from
		s.note(false, nil)
	} else {
		s.note(false, err)
	}
	return w, err // as it is: the reflector knows the API's errors by type
}

// ofNode asks for the pods of one node only.
func (s *source) ofNode(opts *metav1.ListOptions) {
	opts.FieldSelector = selectors.OneTermEqualSelector("spec.nodeName", s.node).String()
}

// List implements cache.ListerWatcher, which the reflector does not use.
func (s *source) List(opts metav1.ListOptions) (runtime.Object, error) {
	return s.ListWithContext(context.Background(), opts)
}

// Watch implements cache.ListerWatcher, which the reflector does not use.
func (s *source) Watch(opts metav1.ListOptions) (watch.Interface, error) {
	return s.WatchWithContext(context.Background(), opts)
}

// IsWatchListSemanticsUnSupported makes the reflector list and then watch: the pods of one
// node are few, and API servers before 1.34 do not stream lists.
func (*source) IsWatchListSemanticsUnSupported() bool { return true }

// podMost is how large a pod may be, encoded, of which strip has left what is read here: fifty
// containers fit. In memory it takes up to thirty times that, and there are hundreds on a node.
const podMost = 32 << 10

// fits strips a pod, and keeps of one that is too large nothing but who it is and whether it has
// opted in: look refuses it, because it has no container.
func (r reader) fits(obj any) (any, error) {
	obj, err := strip(obj)
	pod, ok := obj.(*corev1.Pod)
	if err != nil || !ok || pod.Size() <= podMost {
		return obj, err
	}
	in, decided, problem := annotations{pod.Annotations, r.peers}.enabled()
	if !decided {
		in = r.optIn.holds(pod)
	}
	said := strconv.FormatBool(in)
	if problem != "" {
		said = clip(pod.Annotations[annotationEnabled])
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
			CreationTimestamp: pod.CreationTimestamp, DeletionTimestamp: pod.DeletionTimestamp,
			Annotations: map[string]string{annotationEnabled: said},
		},
		Spec: corev1.PodSpec{NodeName: pod.Spec.NodeName},
	}, nil
}

// strip keeps of a pod what is read here, so that an agent's memory does not grow with
// what else is written into pods. The informer may hand it what it has stripped already.
func strip(obj any) (any, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil
	}
	lean := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
			CreationTimestamp: pod.CreationTimestamp, DeletionTimestamp: pod.DeletionTimestamp,
			Labels: pod.Labels, OwnerReferences: pod.OwnerReferences, Annotations: ours(pod.Annotations),
		},
		Spec: corev1.PodSpec{
			NodeName: pod.Spec.NodeName, HostNetwork: pod.Spec.HostNetwork,
			Containers: leanContainers(pod.Spec.Containers), InitContainers: leanContainers(pod.Spec.InitContainers),
		},
		Status: corev1.PodStatus{
			Phase: pod.Status.Phase, PodIP: pod.Status.PodIP, HostIP: pod.Status.HostIP, HostIPs: pod.Status.HostIPs,
			ContainerStatuses: leanStatuses(pod.Status.ContainerStatuses), InitContainerStatuses: leanStatuses(pod.Status.InitContainerStatuses),
		},
	}
	return lean, nil
}

func leanContainers(containers []corev1.Container) []corev1.Container {
	var lean []corev1.Container
	for _, c := range containers {
		lean = append(lean, corev1.Container{
			Name: c.Name, Image: c.Image, Ports: c.Ports, RestartPolicy: c.RestartPolicy, Env: leanEnv(c),
			Resources: corev1.ResourceRequirements{Requests: c.Resources.Requests},
		})
	}
	return lean
}

func leanStatuses(statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	var lean []corev1.ContainerStatus
	for _, s := range statuses {
		lean = append(lean, corev1.ContainerStatus{
			Name: s.Name, ContainerID: s.ContainerID, Image: s.Image, State: s.State, Resources: s.Resources,
		})
	}
	return lean
}
