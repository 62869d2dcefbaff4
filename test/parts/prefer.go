package parts

import "fmt"

// Prefer gives the cgroup's processes the processor before all others that want it, up to
// its limit: on a busy machine a burner would else never get what it is limited to.
func (c *Cgroup) Prefer() error {
	file, value := "cpu.shares", "262144" // the most; 1024 is everybody's
	if c.v2 {
		file, value = "cpu.weight", "10000" // the most; 100 is everybody's
	}
	if err := c.write(file, value); err != nil {
		return fmt.Errorf("preferring cgroup %q: %w", c.Path, err)
	}
	return nil
}
