package observe

// Gone tells whether the newest look found no cgroup, and in words what is wrong with a
// target that could not be read.
func (o *Observer) Gone(key string) (detail string, gone bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	h, ok := o.histories[key]
	switch {
	case !ok:
		return "", false
	case h.gone:
		return "its cgroup is gone", true
	case h.failing:
		return "its cgroup could not be read; the log says why", false
	}
	return "", false
}
