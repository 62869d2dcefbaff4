package observe

// Gone tells whether the newest look found no cgroup, and in words what is wrong with a
// target that could not be read.
func (o *Observer) Gone(key string) (detail string, gone bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	h, ok := o.histories[key]
	if !ok {
		return "", false
	}
	return h.trouble, h.gone
}
