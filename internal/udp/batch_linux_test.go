package udp

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
)

// TestFill looks at the messages that datagrams become.
func TestFill(t *testing.T) {
	type message struct{ datagrams, segment int } // segment 0: not cut
	repeat := func(n, size int) []int { return slices.Repeat([]int{size}, n) }
	tests := []struct {
		name  string
		sizes []int
		gso   bool
		v6    bool
		want  []message
	}{
		{"one", []int{100}, true, false, []message{{1, 0}}},
		{"two equal", []int{100, 100}, true, false, []message{{2, 100}}},
		{"without GSO", []int{100, 100}, false, false, []message{{1, 0}, {1, 0}}},
		{"a smaller one ends a message", []int{100, 60, 60}, true, false, []message{{2, 100}, {1, 0}}},
		{"a larger one starts a message", []int{60, 100}, true, false, []message{{1, 0}, {1, 0}}},
		{"segments", repeat(128, 40), true, false, []message{{64, 40}, {64, 40}}},
		{"payload, IPv4", repeat(46, 1452), true, false, []message{{45, 1452}, {1, 0}}},
		{"exactly the largest payload, IPv4", []int{32754, 32753}, true, false, []message{{2, 32754}}},
		{"one more than the largest payload, IPv4", []int{32754, 32754}, true, false, []message{{1, 0}, {1, 0}}},
		{"exactly the largest payload, IPv6", []int{32764, 32763}, true, true, []message{{2, 32764}}},
		{"one more than the largest payload, IPv6", []int{32764, 32764}, true, true, []message{{1, 0}, {1, 0}}},
		{"empty ones alone", []int{0, 0, 50, 0, 50}, true, false, []message{{1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}}},
		{"more than a batch", repeat(200, 1000), true, false, []message{{64, 1000}, {64, 1000}}},
	}
	for _, tt := range tests {
		for _, src := range []source{{}, {addr: [16]byte{192, 0, 2, 1}, index: 7}} {
			t.Run(tt.name, func(t *testing.T) {
				addr := "192.0.2.9:51820"
				if tt.v6 {
					addr = "[2001:db8::9]:51820"
				}
				e := newEndpoint(netip.MustParseAddrPort(addr), 0, src)
				b := newSendBatch().(*sendBatch)
				defer b.reset()
				var bufs [][]byte
				for i, n := range tt.sizes {
					bufs = append(bufs, bytes.Repeat([]byte{byte(i)}, n))
				}
				b.fill(bufs, e, tt.gso)
				if b.n != len(tt.want) {
					t.Fatalf("%d messages, want %d", b.n, len(tt.want))
				}
				next := 0
				for i, want := range tt.want {
					m := &b.msgs[i].hdr
					if b.counts[i] != want.datagrams || int(m.Iovlen) != want.datagrams {
						t.Errorf("message %d: %d datagrams, want %d", i, b.counts[i], want.datagrams)
					}
					for _, iov := range unsafe.Slice(m.Iov, m.Iovlen) {
						if !bytes.Equal(unsafe.Slice(iov.Base, iov.Len), bufs[next]) {
							t.Errorf("message %d: datagram %d is not what was given", i, next)
						}
						next++
					}
					var c []byte
					if m.Control != nil {
						c = unsafe.Slice(m.Control, m.Controllen)
					}
					if want := want.segment; want != 0 {
						size := gsoSize()
						var plain []byte
						if plain = appendGSO(plain, uint16(want)); !bytes.Equal(c[len(c)-size:], plain) {
							t.Errorf("message %d: control % x, want it to end with % x", i, c, plain)
						}
						c = c[:len(c)-size]
					}
					if !bytes.Equal(c, e.srcMsg) {
						t.Errorf("message %d: source % x, want % x", i, c, e.srcMsg)
					}
				}
				if next != min(len(bufs), batchSize) {
					t.Errorf("%d datagrams, want %d", next, len(bufs))
				}
			})
		}
	}
}

// TestControl reads back what it wrote.
func TestControl(t *testing.T) {
	v4 := source{addr: [16]byte{192, 0, 2, 1}, index: 7}
	v6 := source{addr: netip.MustParseAddr("2001:db8::1").As16(), index: 9}
	gro := func(b []byte, size uint32) []byte {
		b, data := appendMessage(b, unix.SOL_UDP, unix.UDP_GRO, 4)
		*(*uint32)(unsafe.Pointer(&data[0])) = size
		return b
	}
	other, _ := appendMessage(nil, unix.SOL_SOCKET, unix.SO_TIMESTAMP, 16)
	tests := []struct {
		name    string
		control []byte
		src     source
		segment int
	}{
		{"none", nil, source{}, 0},
		{"IPv4", appendSource(nil, v4, true), v4, 0},
		{"IPv6", appendSource(nil, v6, false), v6, 0},
		{"joined", gro(nil, 1452), source{}, 1452},
		{"IPv4, joined", gro(appendSource(nil, v4, true), 1452), v4, 1452},
		{"joined, IPv6", appendSource(gro(nil, 1452), v6, false), v6, 1452},
		{"behind another", appendSource(slices.Clone(other), v4, true), v4, 0},
		{"negative size", gro(nil, 1<<31), source{}, 0},
		{"cut short", appendSource(nil, v6, false)[:30], source{}, 0},
		{"cut in a header", gro(appendSource(nil, v4, true), 5)[:unix.CmsgSpace(unix.SizeofInet4Pktinfo)+8], v4, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if src, segment := parseControl(tt.control); src != tt.src || segment != tt.segment {
				t.Errorf("got %v, %d; want %v, %d", src, segment, tt.src, tt.segment)
			}
		})
	}
}

func FuzzParseControl(f *testing.F) {
	f.Add(appendGSO(appendSource(nil, source{index: 1}, true), 9))
	f.Add(appendSource(nil, source{index: 1}, false))
	f.Fuzz(func(t *testing.T, b []byte) {
		aligned := make([]uint64, len(b)/8+1)
		c := unsafe.Slice((*byte)(unsafe.Pointer(&aligned[0])), len(b))
		copy(c, b)
		if _, segment := parseControl(c); segment < 0 {
			t.Errorf("segment size %d", segment)
		}
	})
}

// TestSplit hands out messages as if they had been received: whatever their
// number and that of their datagrams, none is lost and no buffer overflows.
func TestSplit(t *testing.T) {
	type message struct{ size, segment int }
	tests := []struct {
		name     string
		messages []message
		bufs     int
		want     [][]int // sizes that each call returns
	}{
		{"one", []message{{1452, 0}}, 4, [][]int{{1452}}},
		{"joined", []message{{25, 10}}, 4, [][]int{{10, 10, 5}}},
		{"one of one", []message{{10, 10}}, 4, [][]int{{10}}},
		{"segment larger than the whole", []message{{10, 11}}, 4, [][]int{{10}}},
		{"several", []message{{20, 10}, {7, 0}, {6, 3}}, 8, [][]int{{10, 10, 7, 3, 3}}},
		{"more than there are buffers", []message{{65, 10}, {9, 0}}, 4, [][]int{{10, 10, 10, 10}, {10, 10, 5, 9}}},
		{"exactly as many", []message{{40, 10}, {9, 0}}, 4, [][]int{{10, 10, 10, 10}, {9}}},
		{"empty", []message{{0, 0}, {5, 0}, {0, 0}}, 4, [][]int{{5}}},
		{"very many", []message{{100, 1}}, 64, [][]int{slices.Repeat([]int{1}, 64), slices.Repeat([]int{1}, 36)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newReceiver(&socket{is4: true})
			r.n = len(tt.messages)
			n := 0
			for i, m := range tt.messages {
				r.msgs[i].len = uint32(m.size)
				for j := range m.size {
					r.bufs[i*stride+j] = byte(n)
					n++
				}
				r.names[i].Family = unix.AF_INET
				c := unsafe.Slice((*byte)(unsafe.Pointer(&r.control[i])), receiveControl)[:0]
				if m.segment > 0 {
					var data []byte
					c, data = appendMessage(c, unix.SOL_UDP, unix.UDP_GRO, 4)
					*(*uint32)(unsafe.Pointer(&data[0])) = uint32(m.segment)
				}
				r.msgs[i].hdr.SetControllen(len(c))
			}
			next := 0
			for call, want := range tt.want {
				bufs, sizes, eps := make([][]byte, tt.bufs), make([]int, tt.bufs), make([]conn.Endpoint, tt.bufs)
				for i := range bufs {
					bufs[i] = make([]byte, 65535)
				}
				got := 0
				for got < tt.bufs && r.next < r.n {
					got += r.split(bufs[got:], sizes[got:], eps[got:])
				}
				if !slices.Equal(sizes[:got], want) {
					t.Fatalf("call %d: sizes %v, want %v", call, sizes[:got], want)
				}
				for i := range got {
					for _, b := range bufs[i][:sizes[i]] {
						if b != byte(next) {
							t.Fatalf("call %d: byte %d is %d", call, next, b)
						}
						next++
					}
					if eps[i] == nil {
						t.Fatalf("call %d: datagram %d has no endpoint", call, i)
					}
				}
			}
			if next != n || r.next != r.n {
				t.Errorf("%d of %d bytes handed out", next, n)
			}
		})
	}
}

// TestEndpointCache gives the same peer the same endpoint, for as long as its
// source is good, and stays small.
func TestEndpointCache(t *testing.T) {
	var c endpoints
	key := func(i int) peerKey {
		return peerKey{addr: [16]byte{192, 0, byte(i >> 8), byte(i)}, port: 1, src: source{index: 1}}
	}
	a, b := c.of(key(1), true), c.of(key(2), true)
	if c.of(key(1), true) != a || c.of(key(2), true) != b || a == b {
		t.Error("the same peer got another endpoint")
	}
	a.ClearSrc()
	if again := c.of(key(1), true); again == a || len(again.sticky()) == 0 {
		t.Error("a datagram arrived, and the source is still forgotten")
	}
	for i := range 10 * mostEndpoints {
		c.of(key(i), true)
	}
	if len(c.all) > mostEndpoints {
		t.Errorf("%d endpoints", len(c.all))
	}
}
