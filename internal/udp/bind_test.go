package udp_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.zx2c4.com/wireguard/conn"

	"multihop/internal/udp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// makers make the bind of this package, and wireguard-go's, which passes the
// same tests.
func makers() map[string]func() conn.Bind {
	return map[string]func() conn.Bind{
		"ours": func() conn.Bind { return udp.New(nil) },
		"std":  conn.NewStdNetBind,
	}
}

// forBoth runs a test on both binds.
func forBoth(t *testing.T, test func(t *testing.T, make func() conn.Bind)) {
	for name, make := range makers() {
		t.Run(name, func(t *testing.T) { test(t, make) })
	}
}

// An end is an open bind, its datagrams in a channel.
type end struct {
	conn.Bind
	port uint16
	got  chan datagram
	wg   sync.WaitGroup
}

type datagram struct {
	payload []byte
	from    conn.Endpoint
}

// open opens b on a port of its own and receives until the test ends.
func open(tb testing.TB, b conn.Bind) *end {
	tb.Helper()
	fns, port, err := b.Open(0)
	if err != nil {
		tb.Fatal(err)
	}
	e := &end{Bind: b, port: port, got: make(chan datagram, 4096)}
	for _, fn := range fns {
		e.wg.Go(func() { e.receive(tb, fn) })
	}
	tb.Cleanup(e.end)
	return e
}

func (e *end) end() {
	_ = e.Close()
	e.wg.Wait()
}

func (e *end) receive(tb testing.TB, fn conn.ReceiveFunc) {
	bufs, sizes, eps := buffers(e.BatchSize())
	for {
		n, err := fn(bufs, sizes, eps)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				tb.Errorf("receive: %v", err)
			}
			return
		}
		for i := range n {
			if sizes[i] > 0 {
				e.got <- datagram{bytes.Clone(bufs[i][:sizes[i]]), eps[i]}
			}
		}
	}
}

func buffers(n int) (bufs [][]byte, sizes []int, eps []conn.Endpoint) {
	bufs = make([][]byte, n)
	for i := range bufs {
		bufs[i] = make([]byte, 65535)
	}
	return bufs, make([]int, n), make([]conn.Endpoint, n)
}

// at returns the endpoint of e at addr, as b sees it.
func (e *end) at(tb testing.TB, b conn.Bind, addr string) conn.Endpoint {
	tb.Helper()
	ep, err := b.ParseEndpoint(netip.AddrPortFrom(netip.MustParseAddr(addr), e.port).String())
	if err != nil {
		tb.Fatal(err)
	}
	return ep
}

// next returns the next datagram that e received.
func (e *end) next(tb testing.TB) datagram {
	tb.Helper()
	select {
	case d := <-e.got:
		return d
	case <-time.After(10 * time.Second):
		tb.Fatal("no datagram arrived")
		return datagram{}
	}
}

// payload returns n bytes that tell which datagram they are.
func payload(i, n int) []byte {
	b := bytes.Repeat([]byte{byte(i)}, n)
	return append(b[:0], append(fmt.Appendf(nil, "%05d", i), b...)[:max(n, 5)]...)
}

// payloads returns datagrams of these sizes.
func payloads(sizes ...int) [][]byte {
	all := make([][]byte, len(sizes))
	for i, n := range sizes {
		all[i] = payload(i, n)
	}
	return all
}

// same returns n times size.
func same(n, size int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = size
	}
	return all
}

func families() map[string]string { return map[string]string{"IPv4": "127.0.0.1", "IPv6": "::1"} }

// TestExchange sends batches there and back: what arrives is what was sent, in
// order, from the right place.
func TestExchange(t *testing.T) {
	tests := []struct {
		name  string
		sizes []int
	}{
		{"one", []int{100}},
		{"equal", same(128, 1452)},
		{"equal, small", same(128, 40)},
		{"the last is smaller", append(same(20, 1400), 99)},
		{"growing", []int{100, 200, 300, 400, 500}},
		{"falling", []int{500, 400, 300, 200, 100}},
		{"mixed", []int{1452, 1452, 148, 148, 1452, 32, 1452, 1452, 1452, 92, 32, 32}},
		{"largest", []int{65507, 65507, 10, 65507}},
	}
	forBoth(t, func(t *testing.T, make func() conn.Bind) {
		for family, addr := range families() {
			a, b := open(t, make()), open(t, make())
			for _, tt := range tests {
				t.Run(family+", "+tt.name, func(t *testing.T) {
					want := payloads(tt.sizes...)
					if err := a.Send(payloads(tt.sizes...), b.at(t, a, addr)); err != nil {
						t.Fatal(err)
					}
					var from conn.Endpoint
					for i := range want {
						d := b.next(t)
						if !bytes.Equal(d.payload, want[i]) {
							t.Fatalf("datagram %d of %d: got %d bytes %.5q, want %d bytes", i, len(want), len(d.payload), d.payload, len(want[i]))
						}
						from = d.from
					}
					if want := a.at(t, b, addr).DstToString(); from.DstToString() != want || from.DstIP().String() != addr {
						t.Errorf("from %s, want %s", from.DstToString(), want)
					}
					if err := b.Send([][]byte{[]byte("answer")}, from); err != nil {
						t.Fatal(err)
					}
					if d := a.next(t); string(d.payload) != "answer" {
						t.Errorf("answer is %q", d.payload)
					}
				})
			}
		}
	})
}

// TestBothFamilies sends to peers of both families in turn.
func TestBothFamilies(t *testing.T) {
	if !udp.BothFamilies {
		t.Skip("this system's bind has one family")
	}
	a, b := open(t, udp.New(nil)), open(t, udp.New(nil))
	for i := range 100 {
		for _, addr := range families() {
			if err := a.Send([][]byte{payload(i, 50)}, b.at(t, a, addr)); err != nil {
				t.Fatal(err)
			}
			if d := b.next(t); d.from.DstIP().String() != addr || !bytes.Equal(d.payload, payload(i, 50)) {
				t.Fatalf("sent to %s: %.5q from %v", addr, d.payload, d.from.DstIP())
			}
		}
	}
}

func TestReceiveAfterClose(t *testing.T) {
	forBoth(t, func(t *testing.T, make func() conn.Bind) {
		b := make()
		fns, _, err := b.Open(0)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		for _, fn := range fns {
			bufs, sizes, eps := buffers(1)
			if _, err := fn(bufs, sizes, eps); !errors.Is(err, net.ErrClosed) {
				t.Errorf("error %v, want net.ErrClosed", err)
			}
		}
	})
}

func TestOpenAndClose(t *testing.T) {
	forBoth(t, func(t *testing.T, make func() conn.Bind) {
		b := make()
		if err := b.Close(); err != nil {
			t.Errorf("closing what is not open: %v", err)
		}
		port := uint16(0)
		for range 20 {
			fns, actual, err := b.Open(port)
			if err != nil {
				t.Fatal(err)
			}
			if port != 0 && actual != port || len(fns) == 0 {
				t.Fatalf("port %d, %d functions; want port %d", actual, len(fns), port)
			}
			port = actual
			if _, _, err := b.Open(port); !errors.Is(err, conn.ErrBindAlreadyOpen) {
				t.Errorf("second Open: %v", err)
			}
			for range 2 {
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// TestPortInUse fails an Open and has one with any port succeed after it.
func TestPortInUse(t *testing.T) {
	forBoth(t, func(t *testing.T, make func() conn.Bind) {
		taken := open(t, make())
		b := make()
		if _, _, err := b.Open(taken.port); err == nil {
			t.Fatal("a port that is taken was opened")
		}
		open(t, b)
	})
}

// TestCloseUnderLoad closes while packets come and go, in both directions.
func TestCloseUnderLoad(t *testing.T) {
	forBoth(t, func(t *testing.T, make func() conn.Bind) {
		for range 20 {
			a, b := make(), make()
			fns, _, err := a.Open(0)
			if err != nil {
				t.Fatal(err)
			}
			_, port, err := b.Open(0)
			if err != nil {
				t.Fatal(err)
			}
			ep, err := a.ParseEndpoint(fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for _, fn := range fns {
				wg.Go(func() {
					bufs, sizes, eps := buffers(a.BatchSize())
					for {
						if _, err := fn(bufs, sizes, eps); err != nil {
							if !errors.Is(err, net.ErrClosed) {
								t.Errorf("receive: %v", err)
							}
							return
						}
					}
				})
			}
			for range 2 {
				wg.Go(func() {
					batch := payloads(same(64, 1000)...)
					for range 1000 {
						if a.Send(batch, ep) != nil {
							return
						}
					}
				})
			}
			time.Sleep(time.Millisecond)
			for range 2 {
				wg.Go(func() { _ = a.Close() })
			}
			wg.Wait()
			_ = b.Close()
		}
	})
}

func TestEndpoints(t *testing.T) {
	forBoth(t, func(t *testing.T, make func() conn.Bind) {
		b := make()
		for _, s := range []string{"192.0.2.1:51820", "[2001:db8::1]:51820", "0.0.0.0:1", "[::]:65535"} {
			ep, err := b.ParseEndpoint(s)
			if err != nil {
				t.Fatal(err)
			}
			want := netip.MustParseAddrPort(s)
			raw, _ := want.MarshalBinary()
			if ep.DstToString() != s || ep.DstIP() != want.Addr() || !bytes.Equal(ep.DstToBytes(), raw) {
				t.Errorf("%s: %s, %v, % x", s, ep.DstToString(), ep.DstIP(), ep.DstToBytes())
			}
			if runtime.GOOS == "linux" && ep.SrcIP().IsValid() {
				t.Errorf("%s: has source %v", s, ep.SrcIP())
			}
			ep.ClearSrc()
		}
		for _, s := range []string{"", "192.0.2.1", "example.com:51820", "192.0.2.1:65536", "[2001:db8::1%nosuchzone]:1"} {
			if _, err := b.ParseEndpoint(s); err == nil && (s != "[2001:db8::1%nosuchzone]:1" || t.Name() == "TestEndpoints/ours" && udp.BothFamilies) {
				t.Errorf("%q was taken", s)
			}
		}
	})
}

func TestClosedSend(t *testing.T) {
	b := udp.New(nil)
	ep, err := b.ParseEndpoint("127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Send([][]byte{{1}}, ep); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Send before Open: %v", err)
	}
}
