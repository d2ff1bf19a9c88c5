package udp

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A noConn is a RawConn without a socket: Write calls f until it is done.
type noConn struct{ syscall.RawConn }

func (noConn) Write(f func(uintptr) bool) error {
	for !f(0) {
	}
	return nil
}

// TestSendErrors sends ten datagrams, of which five can be joined twice, through
// a kernel that answers as told, and looks at what the kernel took in the end.
func TestSendErrors(t *testing.T) {
	sizes := []int{500, 500, 500, 500, 500, 900, 900, 900, 900, 900}
	type message struct {
		datagrams int
		source    bool // with a sticky source
	}
	joined := func(m message) bool { return m.datagrams > 1 }
	sticky := func(m message) bool { return m.source }
	always := func(message) bool { return true }
	singles := func(n int, source bool) []message { return slices.Repeat([]message{{1, source}}, n) }
	tests := []struct {
		name   string
		errno  unix.Errno
		when   func(message) bool // errno is the answer to such messages
		want   []message          // that were taken
		gso    bool               // afterwards
		tooBig int
		err    error
	}{
		{"none", 0, always, []message{{5, true}, {5, true}}, true, 0, nil},
		{"interrupted", unix.EINTR, nil, []message{{5, true}, {5, true}}, true, 0, nil},
		{"no room for a moment", unix.EAGAIN, nil, []message{{5, true}, {5, true}}, true, 0, nil},
		{"no checksum offload", unix.EIO, joined, singles(10, true), false, 0, nil},
		{"no GSO", unix.EOPNOTSUPP, joined, singles(10, true), false, 0, nil},
		{"too big to be cut", unix.EMSGSIZE, joined, singles(10, true), true, 500, nil},
		{"too big to be cut, older kernels", unix.EINVAL, joined, singles(10, false), true, 500, nil},
		{"source gone", unix.EINVAL, sticky, []message{{5, false}, {5, false}}, true, 0, nil},
		{"source's interface gone", unix.ENODEV, sticky, []message{{5, false}, {5, false}}, true, 0, nil},
		{"no route", unix.ENETUNREACH, always, nil, true, 0, unix.ENETUNREACH},
		{"forbidden", unix.EPERM, always, nil, true, 0, unix.EPERM},
		{"too big, and not to be fragmented", unix.EMSGSIZE, always, nil, true, 500, unix.EMSGSIZE},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &socket{raw: noConn{}, is4: true}
			s.gso.Store(true)
			e := newEndpoint(netip.MustParseAddrPort("192.0.2.9:9"), 0, source{index: 1})
			b := newSendBatch().(*sendBatch)
			var taken []message
			calls := 0
			b.call = func(_ uintptr, msgs []mmsghdr) (int, unix.Errno) {
				if calls++; tt.when == nil && calls%2 == 1 {
					return -1, tt.errno
				}
				for i := range msgs {
					m := message{int(msgs[i].hdr.Iovlen), int(msgs[i].hdr.Controllen) >= len(e.srcMsg)}
					switch {
					case tt.when == nil || tt.errno == 0 || !tt.when(m):
						taken = append(taken, m)
					case i > 0:
						return i, 0 // the error is that of the next call
					default:
						return -1, tt.errno
					}
				}
				return len(msgs), 0
			}
			var bufs [][]byte
			for _, n := range sizes {
				bufs = append(bufs, make([]byte, n))
			}
			err := s.send(b, bufs, e)
			if tt.err == nil && err != nil || !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if !slices.Equal(taken, tt.want) {
				t.Errorf("taken %v, want %v", taken, tt.want)
			}
			if s.gso.Load() != tt.gso || b.tooBig != tt.tooBig {
				t.Errorf("GSO %v, too big %d; want %v, %d", s.gso.Load(), b.tooBig, tt.gso, tt.tooBig)
			}
		})
	}
}
