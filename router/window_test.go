package router

import (
	"errors"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.zx2c4.com/wireguard/device"
)

func TestIsData(t *testing.T) {
	message := func(kind byte, n int) []byte {
		b := make([]byte, n)
		if n > 0 {
			b[0] = kind
		}
		return b
	}
	for _, tt := range []struct {
		name string
		b    []byte
		want bool
	}{
		{"nothing", nil, false},
		{"initiation", message(1, device.MessageInitiationSize), false},
		{"response", message(2, device.MessageResponseSize), false},
		{"cookie", message(3, device.MessageCookieReplySize), false},
		{"keepalive", message(4, 32), false},
		{"smallest data", message(4, 33), true},
		{"data", message(4, 1452), true},
		{"short type 4", message(4, 4), false},
		{"unknown type", message(5, 1452), false},
	} {
		if got := isData(tt.b); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestStamp: a number reaches whoever holds any part of the array that reaches
// to its end, and spoils no packet of the largest size.
func TestStamp(t *testing.T) {
	array := make([]byte, device.MaxMessageSize)
	for i := range array {
		array[i] = 0xaa
	}
	stamp(array[16:1500], 7)
	if _, ok := stamped(array[16:1500]); ok {
		t.Error("a slice that does not start at the array's start has a number") // its capacity is too small
	}
	stamp(array[:1500], 7)
	for _, b := range [][]byte{array, array[:0], array[:100]} {
		if seq, ok := stamped(b); !ok || seq != 7 {
			t.Errorf("%d bytes of it: %d %v", len(b), seq, ok)
		}
	}
	stamp(array[:0:1000], 8)
	if _, ok := stamped(array[:1000:1000]); ok {
		t.Error("a slice that ends before the array has a number")
	}
	if seq, _ := stamped(array); seq != 7 {
		t.Errorf("the number is %d", seq)
	}
	end := device.MessageTransportOffsetContent + maxPacket + 16 + 16 // header, packet, padding, tag
	for i, b := range array[:end] {
		if b != 0xaa {
			t.Fatalf("byte %d of a largest packet changed", i)
		}
	}
	if end > device.MaxMessageSize-trailer {
		t.Errorf("a largest packet ends at %d, in the trailer", end)
	}
}

func TestFlight(t *testing.T) {
	var f flight
	check := func(what string, out uint64, full bool) {
		t.Helper()
		if got := f.out.Load(); got != out || f.full(4) != full {
			t.Errorf("%s: out %d, full %v; want %d, %v", what, got, f.full(4), out, full)
		}
	}
	f.leave(3)
	check("a number that never went in", 0, false)
	f.in.Store(3)
	check("three inside", 0, false)
	f.in.Store(4)
	check("four inside", 0, true)
	f.leave(1 << 40)
	check("garbage", 0, true)
	f.leave(5)
	check("the number after the newest", 0, true)
	f.leave(2)
	check("the second", 2, false)
	f.leave(1)
	check("an earlier one, later", 2, false)
	f.leave(2)
	check("the same again", 2, false)
	f.in.Store(6)
	check("four inside again", 2, true)
	f.empty(99)
	check("emptied", 6, false)
	if f.moved.Load() != 99 {
		t.Error("not timed")
	}
}

// TestFlightConcurrent: whatever the order in which packets leave, the newest
// counts.
func TestFlightConcurrent(t *testing.T) {
	var f flight
	var wg sync.WaitGroup
	f.in.Store(4000)
	for g := range uint64(4) {
		wg.Go(func() {
			for i := range uint64(1000) {
				f.leave(i*4 + g + 1)
				f.leave(5000 + i) // garbage
			}
		})
	}
	wg.Wait()
	if got := f.out.Load(); got != 4000 {
		t.Errorf("out %d, want 4000", got)
	}
}

func TestGate(t *testing.T) {
	g := newGate()
	g.open()
	if len(g.token) != 0 {
		t.Error("a token though nobody waits")
	}
	g.waiting.Add(1)
	g.open()
	g.open()
	if len(g.token) != 1 {
		t.Errorf("%d tokens, want one", len(g.token))
	}
}

// twoPeers returns the port, without a device, of a hop with two peers: of
// 198.51.100.0/24 and of 203.0.113.0/24.
func twoPeers(t *testing.T, r *Router) *port {
	t.Helper()
	h := newHop(r, Hop{Name: "h", MTU: 1420, Addrs: addrs("10.0.0.2"), Peers: []Peer{
		{PublicKey: fixedKey(1), AllowedIPs: []netip.Prefix{farNet}},
		{PublicKey: fixedKey(2), AllowedIPs: []netip.Prefix{nearNet}},
	}}, nil)
	r.table.Store(tableOf(t, addrs("192.0.2.1"), []Route{{Prefix: everything[0], Hop: "h"}}, h))
	p := newPort(h)
	p.bind = &meteredBind{port: p}
	p.size, p.staged = 4, 4
	h.port.Store(p)
	return p
}

// push puts n packets to dst into the port's ring.
func push(t *testing.T, p *port, n int, dst netip.Addr) {
	t.Helper()
	v := p.in.Reserve(&p.fromUp, n)
	if v.N != n {
		t.Fatalf("room for %d of %d packets", v.N, n)
	}
	for i := range n {
		pkt := udp(netip.AddrPortFrom(p.hop.addr4, 4000), netip.AddrPortFrom(dst, 7), []byte{byte(i)})
		copy(v.Slot(i).SetSize(len(pkt)), pkt)
		v.Slot(i).Meta = origin{generation: p.generation.Load()}
	}
	v.Commit(n)
}

// pull reads once and returns the numbers of the packets.
func pull(t *testing.T, p *port) []uint64 {
	t.Helper()
	bufs, lens := arrays(128), make([]int, 128)
	n, err := p.Read(bufs, lens, 16)
	must(t, err)
	var list []uint64
	for i := range n {
		seq, ok := stamped(bufs[i])
		if !ok {
			t.Fatal("a packet without a number")
		}
		list = append(list, seq)
	}
	return list
}

// arrays returns buffers as wireguard-go's.
func arrays(n int) [][]byte {
	list := make([][]byte, n)
	for i := range list {
		list[i] = make([]byte, device.MaxMessageSize)
	}
	return list
}

// TestWindowSize: windows grow with the processors, and a carried hop has a quarter
// of one.
func TestWindowSize(t *testing.T) {
	for procs, want := range map[int][2]uint64{1: {128, 32}, 2: {128, 32}, 4: {192, 48}, 64: {2048, 512}} {
		old := runtime.GOMAXPROCS(procs)
		got := [2]uint64{windowSize(false), windowSize(true)}
		runtime.GOMAXPROCS(old)
		if got != want {
			t.Errorf("%d processors: %d, want %d", procs, got, want)
		}
	}
}

// TestNumbersPerPeer: each peer has numbers and a window of its own.
func TestNumbersPerPeer(t *testing.T) {
	p := twoPeers(t, New(nil))
	far, near := farNet.Addr().Next(), nearNet.Addr().Next()
	push(t, p, 2, far)
	push(t, p, 3, near)
	push(t, p, 1, far)
	got := pull(t, p)
	want := []uint64{1, 2, 1<<seqBits | 1, 1<<seqBits | 2, 1<<seqBits | 3, 3}
	if len(got) != len(want) {
		t.Fatalf("numbers %v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("numbers %x, want %x", got, want)
		}
	}
	inside := func(i int) uint64 { return p.peers.Load().out[i].in.Load() - p.peers.Load().out[i].out.Load() }
	p.leaveOut(1<<seqBits | 3)
	if inside(0) != 3 || inside(1) != 0 {
		t.Errorf("%d and %d inside, want 3 and 0", inside(0), inside(1))
	}
	p.leaveOut(2<<seqBits | 1) // there is no third peer
	p.leaveOut(1 << 63)
	p.leaveOut(3)
	if inside(0) != 0 {
		t.Errorf("%d inside, want 0", inside(0))
	}
	if n := p.hop.entered.Load(); n != 6 {
		t.Errorf("entered %d", n)
	}
	push(t, p, 2, netip.MustParseAddr("192.0.2.200")) // of no peer
	push(t, p, 1, far)
	if got := pull(t, p); len(got) != 1 || got[0] != 4 {
		t.Errorf("numbers %v, want 4", got)
	}
	if n := p.hop.drops[dropNoPeer].Load(); n != 2 {
		t.Errorf("no_peer %d, want 2", n)
	}
}

// TestFullFlight: a full window holds its peer's packets back. When it has not
// moved for 100 ms they are dropped, those of others pass; after 5 s what is
// inside is flushed, and all goes on.
func TestFullFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := twoPeers(t, New(nil))
		flushed := 0
		p.peers.Load().out[0].flush = func() { flushed++ }
		far, near := farNet.Addr().Next(), nearNet.Addr().Next()
		push(t, p, 5, far)
		if got := pull(t, p); len(got) != 4 {
			t.Fatalf("%d packets went in, want the window of 4", len(got))
		}

		start := time.Now()
		go func() {
			time.Sleep(30 * time.Millisecond)
			p.leaveOut(1)
		}()
		if got := pull(t, p); len(got) != 1 || got[0] != 5 || time.Since(start) != 30*time.Millisecond {
			t.Fatalf("numbers %v after %v, want 5 once another left", got, time.Since(start))
		}

		start = time.Now()
		push(t, p, 3, far)
		push(t, p, 1, near)
		if got := pull(t, p); len(got) != 1 || got[0] != 1<<seqBits|1 {
			t.Fatalf("numbers %x, want the other peer's", got)
		}
		if d := time.Since(start); d < stallAfter || d > stallAfter+time.Millisecond {
			t.Errorf("the other peer waited %v, want %v", d, stallAfter)
		}
		if n := p.hop.drops[dropNoSession].Load(); n != 3 || flushed != 0 {
			t.Errorf("no_session %d, want 3; %d flushes, want none", n, flushed)
		}

		time.Sleep(flushAfter)
		push(t, p, 2, far)
		if got := pull(t, p); len(got) != 2 || flushed != 1 {
			t.Errorf("numbers %v after %d flushes, want two after one", got, flushed)
		}
	})
}

// TestReadClosed: Close ends a Read that waits, for a packet or for the window.
func TestReadClosed(t *testing.T) {
	for _, full := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := twoPeers(t, New(nil))
			if full {
				push(t, p, 6, farNet.Addr().Next())
				pull(t, p)
			}
			go func() {
				time.Sleep(10 * time.Millisecond)
				_ = p.Close()
				_ = p.Close()
			}()
			if n, err := p.Read(arrays(1), make([]int, 1), 16); n != 0 || !errors.Is(err, os.ErrClosed) {
				t.Errorf("full %v: %d %v", full, n, err)
			}
		})
	}
}

// TestInboundWindow: data alone is counted; a full device makes the receiver
// wait, and is taken for empty when it stands still for 10 ms.
func TestInboundWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := twoPeers(t, New(nil))
		bufs, lens := arrays(6), []int{1452, 148, 1452, 32, 1452, 1452}
		for i, b := range bufs {
			b[0] = device.MessageTransportType
			if lens[i] == 148 {
				b[0] = device.MessageInitiationType
			}
		}
		p.enterIn(bufs, lens)
		for i, want := range []uint64{1, 0, 2, 0, 3, 4} {
			if seq, _ := stamped(bufs[i]); seq&^inboundBit != want {
				t.Errorf("message %d has number %d, want %d", i, seq, want)
			}
		}
		if n := p.hop.received.Load(); n != 4 || !p.inbound.full(p.size) {
			t.Fatalf("received %d, full %v", n, p.inbound.full(p.size))
		}

		admit := func(done chan struct{}) (bool, time.Duration) {
			start := time.Now()
			ok := p.admitIn(done)
			return ok, time.Since(start)
		}
		done := make(chan struct{})
		p.writing.Add(1) // the device is at work: the TUN is slow
		go func() {
			time.Sleep(55 * time.Millisecond)
			p.writing.Add(-1)
			p.inbound.leave(1)
			p.wroteLast.Store(p.hop.r.clock())
			p.inMov.open()
		}()
		if ok, d := admit(done); !ok || d != 55*time.Millisecond {
			t.Errorf("admitted %v after %v, want when a packet came out", ok, d)
		}
		p.enterIn(bufs[:1], lens[:1])
		if ok, d := admit(done); !ok || d < 10*time.Millisecond || d > 25*time.Millisecond {
			t.Errorf("admitted %v after %v, want once it stood still", ok, d)
		}
		if p.inbound.in.Load() != p.inbound.out.Load() {
			t.Error("it is not empty")
		}
		p.enterIn(bufs, lens)
		p.writing.Add(1)
		go func() {
			time.Sleep(5 * time.Millisecond)
			close(done)
		}()
		if ok, d := admit(done); ok || d != 5*time.Millisecond {
			t.Errorf("admitted %v after %v, want the end with its bind", ok, d)
		}
	})
}
