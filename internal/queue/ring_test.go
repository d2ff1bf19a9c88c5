package queue

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// put puts up to n empty packets and returns how many.
func put(r *Ring[int], p *Producer, n int) int {
	v := r.Reserve(p, n)
	for i := range v.N {
		v.Slot(i).SetSize(0)
	}
	v.Commit(v.N)
	return v.N
}

// drain takes up to n packets and returns how many.
func drain(r *Ring[int], n int) int {
	v := r.Peek(n)
	v.Release(v.N)
	return v.N
}

func want(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: %d, want %d", what, got, want)
	}
}

func TestHalfShare(t *testing.T) {
	r := New[int](8, 0)
	var a, b, c Producer
	want(t, "alone", put(r, &a, 9), 8)
	want(t, "no room", put(r, &b, 1), 0)
	drain(r, 4)
	want(t, "the second producer, in what is free", put(r, &b, 8), 4)
	want(t, "the first, which holds its half", put(r, &a, 1), 0)
	drain(r, 3) // of a's
	want(t, "the third", put(r, &c, 8), 3)
	drain(r, 1) // the last of a's
	want(t, "the third, up to its half", put(r, &c, 8), 1)
	drain(r, 3) // of b's
	want(t, "the third, beyond its half", put(r, &c, 8), 0)
	want(t, "the first", put(r, &a, 2), 2)
	want(t, "the second, in what is left", put(r, &b, 8), 1)
	drain(r, 8)
	want(t, "alone again", put(r, &c, 8), 8)
}

func TestHalfShareNeverOverdrawn(t *testing.T) {
	r := New[int](8, 0)
	var a, b Producer
	want(t, "alone", put(r, &a, 7), 7)
	want(t, "the second", put(r, &b, 8), 1)
	drain(r, 2) // a holds 5 of 8: more than its half
	want(t, "the first, over its share", put(r, &a, 8), 0)
	want(t, "the second", put(r, &b, 8), 2)
}

func TestControlLane(t *testing.T) {
	r := New[int](4, 2)
	var p Producer
	want(t, "data", put(r, &p, 5), 4)
	control := func(meta int) bool { return r.PutControl(1, meta, func(b []byte) { b[0] = byte(meta) }) }
	if !control(1) || !control(2) {
		t.Fatal("the control lane has no room though the data lane alone is full")
	}
	if control(3) {
		t.Fatal("the full control lane took a packet")
	}
	want(t, "both lanes", r.Len(), 6)
	if v := r.Peek(10); !v.Control() || v.N != 2 || v.Slot(0).Meta != 1 || v.Slot(1).Packet[0] != 2 {
		t.Fatalf("the control lane does not come first: %d packets, control %v", v.N, v.Control())
	}
	want(t, "control packets", drain(r, 10), 2)
	want(t, "data packets", drain(r, 10), 4)
	r.Close()
	if control(4) || put(r, &p, 1) != 0 {
		t.Fatal("the closed ring took a packet")
	}
}

func TestReady(t *testing.T) {
	token := func(r *Ring[int]) bool {
		select {
		case <-r.Ready():
			return true
		default:
			return false
		}
	}
	var p Producer
	for _, tt := range []struct {
		name string
		do   func(r *Ring[int])
	}{
		{"data", func(r *Ring[int]) { put(r, &p, 1) }},
		{"control", func(r *Ring[int]) { r.PutControl(0, 0, func([]byte) {}) }},
		{"close", func(r *Ring[int]) { r.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := New[int](4, 1)
			r.Peek(1)
			put(r, &p, 0)
			if token(r) {
				t.Fatal("a token for nothing")
			}
			tt.do(r)
			if !token(r) {
				t.Fatal("no token")
			}
		})
	}
	t.Run("packets stay after close", func(t *testing.T) {
		r := New[int](4, 1)
		put(r, &p, 3)
		r.Close()
		r.Close()
		want(t, "packets", drain(r, 4), 3)
	})
}

// TestConcurrent: producers that wait for room and for each other lose nothing
// and keep their order; none holds more than half while another is active.
func TestConcurrent(t *testing.T) {
	const producers, each = 3, 20000
	r := New[int](64, 8)
	pool := NewWaiters()
	var wg sync.WaitGroup
	var controls [producers]uint64
	for id := range producers {
		wg.Go(func() {
			var p Producer
			for next := uint64(0); next < each; {
				v := r.Reserve(&p, int(min(7, each-next)))
				for i := range v.N {
					binary.LittleEndian.PutUint64(v.Slot(i).SetSize(8), next+uint64(i))
					v.Slot(i).Meta = id
				}
				v.Commit(v.N)
				next += uint64(v.N)
				if next%5 == 0 && r.PutControl(8, id, func(b []byte) { binary.LittleEndian.PutUint64(b, next) }) {
					controls[id]++
				}
				if v.N == 0 && !r.Wait(&p, 1, time.Minute, pool) && r.Closed() {
					t.Error("closed")
					return
				}
			}
		})
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()

	var data, control [producers]uint64
	for done := false; !done; {
		v := r.Peek(16)
		for i := range v.N {
			s := v.Slot(i)
			seq := binary.LittleEndian.Uint64(s.Packet)
			if v.Control() {
				control[s.Meta]++
			} else if seq != data[s.Meta] {
				t.Fatalf("producer %d: packet %d after %d", s.Meta, seq, data[s.Meta])
			} else {
				data[s.Meta]++
			}
		}
		v.Release(v.N)
		if v.N > 0 {
			continue
		}
		select {
		case <-r.Ready():
		case <-finished:
			done = r.Len() == 0
		}
	}
	for id := range producers {
		if data[id] != each || control[id] != controls[id] {
			t.Errorf("producer %d: %d of %d packets, %d of %d control packets", id, data[id], each, control[id], controls[id])
		}
	}
}

func TestAllocs(t *testing.T) {
	r := New[int](64, 8)
	var a, b Producer
	payload := make([]byte, 1400)
	cycle := func() {
		for _, p := range []*Producer{&a, &b} {
			v := r.Reserve(p, 20)
			for i := range v.N {
				copy(v.Slot(i).SetSize(len(payload)), payload)
			}
			v.Commit(v.N)
		}
		r.PutControl(len(payload), 0, func(b []byte) { copy(b, payload) })
		for r.Len() > 0 {
			v := r.Peek(16)
			v.Release(v.N)
		}
	}
	for range 64 { // every slot gets its buffer
		cycle()
	}
	if n := testing.AllocsPerRun(100, cycle); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRing(b *testing.B) {
	r := New[int](512, 32)
	var p Producer
	payload := make([]byte, 1400)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		v := r.Reserve(&p, 64)
		for i := range v.N {
			copy(v.Slot(i).SetSize(len(payload)), payload)
		}
		v.Commit(v.N)
		w := r.Peek(64)
		w.Release(w.N)
		n += w.N
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/packet")
}

// TestWaitControl: a consumer that cannot take the data hears of the control
// lane, and of nothing else.
func TestWaitControl(t *testing.T) {
	r := New[int](4, 2)
	token := func() bool {
		select {
		case <-r.Ready():
			return true
		default:
			return false
		}
	}
	put := func() {
		var p Producer
		v := r.Reserve(&p, 1)
		v.Slot(0).SetSize(1)
		v.Commit(1)
	}
	put()
	if v := r.Peek(1); v.N != 1 || v.Control() {
		t.Fatal("no data")
	}
	if r.WaitControl() {
		t.Fatal("the control lane has nothing")
	}
	put()
	if token() {
		t.Fatal("woken by data")
	}
	r.PutControl(1, 0, func([]byte) {})
	if !token() {
		t.Fatal("not woken by the control lane")
	}
	if !r.WaitControl() {
		t.Fatal("the control lane has a packet")
	}
	if v := r.Peek(1); !v.Control() {
		t.Fatal("data came first")
	}
}
