package host

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"multihop/internal/beat"
)

const (
	// look is how often Watch looks at what tells nobody that it changes.
	look = 500 * time.Millisecond
	// settling is how long changes are collected before they are told: they come
	// in bursts.
	settling = 300 * time.Millisecond
	// pause bounds how fast somebody else can make us work.
	pause = 20 * time.Millisecond
)

// Watch restores, within a second, what others undo of what Apply did - rules,
// routes, the firewall, settings, DNS, but not the TUN's MTU - and has routes and firewall follow the
// networks that the host is connected to. It calls changed, from the calling
// goroutine and a few times a second at most, after anything of the host's network
// changed that is not ours: the way to the endpoints may be another. It begins with
// all of that, for what happened since Apply. It returns nil when ctx ends, after
// everything of its own has.
func (h *Host) Watch(ctx context.Context, changed func()) error {
	ctx, cancel := context.WithCancel(ctx)
	ev, outside := newEvents(), newEvents() // outside, with Options.Netns: of the host itself
	var parts sync.WaitGroup
	failed := make(chan error, 4)
	part := func(f func() error) {
		parts.Go(func() {
			if err := f(); err != nil && ctx.Err() == nil {
				failed <- err
			}
		})
	}
	defer parts.Wait()
	defer cancel()

	h.mu.Lock()
	err := h.begin(true)
	inner, outer := h.k.inner, h.k.outer
	h.mu.Unlock()
	if err == nil {
		err = listen(ctx, inner, ev, part)
	}
	if err == nil && inner != outer {
		err = listen(ctx, outer, outside, part)
	}
	if err != nil {
		return fmt.Errorf("host: watch the network: %w", err)
	}
	part(func() error { return h.watchWall(ctx) })
	part(func() error { return h.watchDNS(ctx) })

	tick := time.NewTicker(beat.Until(look))
	defer tick.Stop()
	var tell <-chan time.Time // nil: there is nothing to tell
	for {
		around := false
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return fmt.Errorf("host: watch the network: %w", err)
		case <-ev.ready:
			around = h.restore(ev.take()) && inner == outer
		case <-outside.ready:
			outside.take()
			around = true
		case <-tick.C:
			tick.Reset(beat.Until(look))
			h.lookAgain()
			if h.othersChanged() {
				h.follow()
			}
			continue
		case <-tell:
			tell = nil
			h.follow()
			changed()
		}
		if around && tell == nil {
			tell = time.After(settling)
		}
		sleep(ctx, pause)
	}
}

// listen collects the events of a namespace until ctx ends.
func listen(ctx context.Context, in *space, into *events, part func(func() error)) error {
	var s *nl.NetlinkSocket
	err := in.do(func() (err error) {
		s, err = nl.Subscribe(unix.NETLINK_ROUTE, groups()...)
		return err
	})
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, s.Close) // ends receive
	part(func() error {
		defer stop()
		return into.receive(s)
	})
	return nil
}

// lookAgain restores the settings of the kernel, which tell nobody when they
// change.
func (h *Host) lookAgain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.config == nil {
		return
	}
	h.restoreIf(func(c change) bool { _, ok := c.(*sysctl); return ok })
}

// watchWall restores the firewall.
func (h *Host) watchWall(ctx context.Context) error {
	h.mu.Lock()
	w, err := h.k.firewall()
	outer := h.k.outer
	h.mu.Unlock()
	if err != nil {
		return nil // then there is no table either
	}
	return outer.do(func() error {
		return w.Watch(ctx, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if !h.closed && h.config != nil {
				h.restoreIf(func(c change) bool { _, ok := c.(*wall); return ok })
			}
		})
	})
}

// watchDNS restores the host's DNS settings, whose record may change.
func (h *Host) watchDNS(ctx context.Context) error {
	for ctx.Err() == nil {
		c := h.dns()
		sub, cancel := context.WithCancel(ctx)
		var other sync.WaitGroup
		other.Go(func() {
			defer cancel()
			for sleep(sub, beat.Until(look)) && reflect.DeepEqual(h.dns(), c) {
			}
		})
		var err error
		if c != nil {
			err = h.k.dns.Watch(sub, c.Record, h.restoreDNS)
		} else {
			<-sub.Done()
		}
		cancel()
		other.Wait()
		if err != nil && !errors.Is(err, context.Canceled) {
			h.log.Warn("changes of the host's DNS settings are not noticed", "err", err)
			sleep(ctx, 10*look)
		}
	}
	return nil
}

// dns returns the change of the host's DNS settings; nil: there is none.
func (h *Host) dns() *dns {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := h.journal.index((&dns{}).key()); !h.closed && i >= 0 {
		return h.journal.Changes[i].(*dns)
	}
	return nil
}

// restoreDNS restores the host's DNS settings. While it asks what they are, which
// may take as long as who answers likes, everything else goes on.
func (h *Host) restoreDNS() {
	c := h.dns()
	if c == nil {
		return
	}
	ctx, cancel := dnsContext()
	next, intact, err := h.k.dns.Check(ctx, c.Record)
	cancel()
	if err != nil || intact {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.journal.index((&dns{}).key())
	if h.closed || h.config == nil || i < 0 || h.journal.Changes[i] != change(c) {
		return // it was changed meanwhile
	}
	h.again(step{c, &dns{next}})
}

// sleep waits, and reports false when ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
