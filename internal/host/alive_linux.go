package host

import (
	"context"
	"errors"
	"time"
)

// aliveLook is how often it is looked whether something goes on.
const aliveLook = 20 * time.Millisecond

// Alive returns nil if nothing is under way, or as soon as what is goes on, and
// an error if neither is so until ctx ends: something hangs.
func (h *Host) Alive(ctx context.Context) error {
	before := h.k.calls.Load()
	for !h.mu.TryLock() {
		if h.k.calls.Load() != before {
			return nil
		}
		if !sleep(ctx, aliveLook) {
			return h.wrap(errors.New("a change to the host does not come to an end"))
		}
	}
	h.mu.Unlock()
	return nil
}
