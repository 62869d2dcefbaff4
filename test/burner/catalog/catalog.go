// Package catalog is the part of the burner that grows: a cache of imaginary pictures
// that is never emptied by itself.
//
// A number of mebibytes enters, resident memory leaves.
package catalog

import (
	"fmt"
	"runtime/debug"
	"sync"
)

const mebibyte = 1 << 20

// MaxMebibytes bounds the cache.
const MaxMebibytes = 8 << 10

// GrowingFunction is the name under which the cache stands in a heap profile.
const GrowingFunction = "github.com/gopprof/gopprof/test/burner/catalog.loadImage"

// Cache holds pictures.
type Cache struct {
	mu     sync.Mutex // guards images
	images [][]byte   // a mebibyte each
}

// Grow adds so many mebibytes, each page of them touched.
func (c *Cache) Grow(mebibytes int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if mebibytes < 0 || mebibytes > MaxMebibytes-len(c.images) {
		return fmt.Errorf("growing by %d MiB: must be 0 to %d", mebibytes, MaxMebibytes-len(c.images))
	}
	for range mebibytes {
		c.images = append(c.images, loadImage(len(c.images)))
	}
	return nil
}

// Empty drops all pictures and hands their memory back to the system.
func (c *Cache) Empty() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.images = nil
	debug.FreeOSMemory()
}

// Mebibytes is the size of the cache.
func (c *Cache) Mebibytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.images)
}

//go:noinline
func loadImage(seed int) []byte {
	image := make([]byte, mebibyte)
	for i := 0; i < len(image); i += 4096 {
		image[i] = byte(seed + i)
	}
	return image
}
