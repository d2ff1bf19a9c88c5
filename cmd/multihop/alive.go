package main

import (
	"context"
	"fmt"
	"time"
)

// staleStatus is how old what the router knows of its devices may be: it asks
// each every second.
const staleStatus = 10 * time.Second

// alive returns an error if something that everything waits for hangs: the
// router does not look after its hops, or a change to the host does not go on.
func (in *instance) alive(ctx context.Context) error {
	youngest := staleStatus
	up := 0
	for _, h := range in.router.Status().Hops {
		if !h.Down {
			up++
			youngest = min(youngest, h.Age)
		}
	}
	if up > 0 && youngest >= staleStatus {
		return fmt.Errorf("the router has not looked after its hops for %v", staleStatus)
	}
	if in.bare {
		return nil
	}
	return in.host.Alive(ctx)
}
