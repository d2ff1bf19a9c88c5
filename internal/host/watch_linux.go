package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// settle is how long Watch collects changes before it reports them: they come
// in bursts.
const settle = time.Second

// Watch calls changed, from the calling goroutine, at most once a second and
// after any interface, address or route of the host changed - also those of our
// own TUN: what became of them is for changed to look up. It returns nil when
// ctx ends, after everything of its own has.
func Watch(ctx context.Context, changed func()) error {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE,
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE)
	if err != nil {
		return fmt.Errorf("host: watch the network: %w", err)
	}
	events := make(chan struct{}, 1)
	failed := make(chan error, 1)
	var reader sync.WaitGroup
	reader.Go(func() { failed <- receive(s, events) })
	defer reader.Wait()
	defer s.Close() // ends receive

	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return fmt.Errorf("host: watch the network: %w", err)
		case <-events:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(settle):
		}
		select {
		case <-events: // part of the same burst
		default:
		}
		changed()
	}
}

// receive puts a token into events after every message, until s is closed.
func receive(s *nl.NetlinkSocket, events chan<- struct{}) error {
	for {
		_, _, err := s.Receive()
		// ENOBUFS: more changes than the socket holds, so there are some.
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
		select {
		case events <- struct{}{}:
		default:
		}
	}
}
