package host

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// batchRoutes bounds the routes in one message to the kernel: the answers, if
// all of them fail, fit the socket's buffer.
const batchRoutes = 128

// ahead returns how many of the first steps can be made together: routes, or one
// other.
func ahead(steps []step) int {
	n := 0
	for n < len(steps) && n < batchRoutes && isRouteStep(steps[n]) {
		n++
	}
	return max(n, min(1, len(steps)))
}

func isRouteStep(s step) bool {
	if s.new == nil {
		_, ok := s.old.(*route)
		return ok
	}
	_, ok := s.new.(*route)
	return ok
}

// changeRoutes makes steps of routes, at most batchRoutes, in one message. It
// returns the errors of those that failed, by their number; the others are made.
func (k *kernel) changeRoutes(steps []step) map[int]error {
	failed := make(map[int]error)
	var b []byte
	var sent []int // numbers of the steps in b
	for i, s := range steps {
		kind, flags, call := uint16(unix.RTM_NEWROUTE), uint16(unix.NLM_F_CREATE|unix.NLM_F_EXCL), "add route"
		r, _ := s.new.(*route)
		switch {
		case s.new == nil:
			kind, flags, call = unix.RTM_DELROUTE, 0, "delete route"
			r = s.old.(*route)
		case s.old != nil:
			flags, call = unix.NLM_F_CREATE|unix.NLM_F_REPLACE, "replace route"
		}
		err := k.try(call, func() error { return nil })
		index := 0
		if err == nil && r.kind == intoTUN {
			index, err = k.index()
		}
		if err != nil {
			failed[i] = err
			continue
		}
		start := len(b)
		b = k.sock.header(b, kind, flags)
		b = r.appendTo(b, index, kind == unix.RTM_DELROUTE)
		finish(b[start:], 0)
		sent = append(sent, i)
	}
	if len(sent) > 0 {
		k.changed(b, sent, failed)
	}
	for i, err := range failed {
		if err = k.judge(steps[i], err); err == nil {
			delete(failed, i)
		} else {
			failed[i] = err
		}
	}
	return failed
}

// changed sends b, messages about the steps sent, and adds the errors to failed.
func (k *kernel) changed(b []byte, sent []int, failed map[int]error) {
	last := 0
	for range len(sent) - 1 {
		last += int(binary.NativeEndian.Uint32(b[last:]))
	}
	flags := b[last+6:]
	binary.NativeEndian.PutUint16(flags, binary.NativeEndian.Uint16(flags)|unix.NLM_F_ACK)
	errs, err := k.sock.change(b, len(sent))
	for i, number := range sent {
		switch {
		case err != nil:
			failed[number] = err
		case errs[i] != nil:
			failed[number] = errs[i]
		}
	}
}

// judge returns what the error of a step means: nothing, if what is to be there
// is, and what is to be gone is.
func (k *kernel) judge(s step, err error) error {
	if s.new == nil {
		if gone(err) {
			return nil
		}
		return fmt.Errorf("remove route %s: %w", s.old.(*route).prefix(), err)
	}
	r := s.new.(*route)
	if errors.Is(err, unix.EEXIST) {
		if ours, lookErr := k.hasRoute(*r); ours && lookErr == nil {
			return nil
		}
		return fmt.Errorf("route %s: this host has another route for exactly that prefix and metric: remove it first: %w", r.prefix(), err)
	}
	return fmt.Errorf("route %s: %w", r.prefix(), err)
}

// appendTo appends the body of a message that adds or deletes r; index is the
// TUN's.
func (r *route) appendTo(b []byte, index int, del bool) []byte {
	addr := r.prefix().Addr()
	family, scope, kind := byte(unix.AF_INET), byte(unix.RT_SCOPE_UNIVERSE), byte(unix.RTN_UNICAST)
	if addr.Is6() {
		family = unix.AF_INET6
	}
	switch r.kind {
	case unreachable:
		kind = unix.RTN_UNREACHABLE
	case throw:
		kind = unix.RTN_THROW
	}
	switch {
	case addr.Is6(): // its routes have but one scope
	case del:
		scope = unix.RT_SCOPE_NOWHERE // any
	case r.kind == intoTUN && r.table == unix.RT_TABLE_MAIN:
		scope = unix.RT_SCOPE_LINK
	}
	// Elsewhere a route into the TUN is no way to a gateway: who adds a route to
	// the table main by a gateway alone means one on the host's own links, and the
	// kernel, which asks our rules too, is to find it there.
	b = append(b, family, byte(r.prefix().Bits()), 0, 0, unix.RT_TABLE_UNSPEC, Protocol, scope, kind, 0, 0, 0, 0)
	b = attr(b, unix.RTA_DST, addr.BitLen()/8)
	b = append(b, addr.AsSlice()...)
	b = attr32(b, unix.RTA_TABLE, r.table)
	if r.metric != 0 {
		b = attr32(b, unix.RTA_PRIORITY, r.metric)
	}
	if index != 0 {
		b = attr32(b, unix.RTA_OIF, uint32(index))
	}
	if r.mtu != 0 {
		b = attr(b, unix.RTA_METRICS, 8)
		b = attr32(b, unix.RTAX_MTU, r.mtu)
	}
	return b
}
