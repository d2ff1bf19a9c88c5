package queue

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// oracle is a Ring as two slices.
type oracle struct {
	data, control   []item
	slots, controls int
	closed          bool
}

type item struct {
	from    int // producer; -1: control
	payload []byte
}

// room is how many packets producer p may put: what is free, and with others
// in the ring not beyond half of it.
func (o *oracle) room(p int) int {
	if o.closed {
		return 0
	}
	mine, others := 0, 0
	for _, it := range o.data {
		if it.from == p {
			mine++
		} else {
			others++
		}
	}
	room := o.slots - len(o.data)
	if others > 0 {
		room = min(room, o.slots/2-mine)
	}
	return max(room, 0)
}

// TestModel does the same random things to a Ring and to slices.
func TestModel(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			o := &oracle{slots: 1 + rnd.IntN(12), controls: rnd.IntN(4)}
			m := &model{t: t, rnd: rnd, oracle: o, ring: New[int](o.slots, o.controls)}
			m.producers = make([]Producer, 1+rnd.IntN(3))
			for range 400 {
				m.step()
			}
		})
	}
}

type model struct {
	t         *testing.T
	rnd       *rand.Rand
	ring      *Ring[int]
	oracle    *oracle
	producers []Producer
	serial    int
}

func (m *model) step() {
	switch m.rnd.IntN(10) {
	case 0, 1, 2, 3:
		m.put()
	case 4, 5:
		m.putControl()
	case 6, 7, 8:
		m.take()
	default:
		if m.rnd.IntN(300) == 0 {
			m.ring.Close()
			m.oracle.closed = true
		}
	}
	o := m.oracle
	if got, want := m.ring.Len(), len(o.data)+len(o.control); got != want {
		m.t.Fatalf("%d packets, want %d", got, want)
	}
	if got, want := m.ring.Put()-m.ring.Released(), uint64(len(o.data)); got != want {
		m.t.Fatalf("%d data packets put and not released, want %d", got, want)
	}
	if m.ring.Closed() != o.closed {
		m.t.Fatal("closed, or not, against the model")
	}
}

// payload returns bytes that occur once, of a random length: some outgrow a
// slot.
func (m *model) payload() []byte {
	m.serial++
	b := make([]byte, 8+m.rnd.IntN(64))
	if m.rnd.IntN(20) == 0 {
		b = make([]byte, 3*slotSize)
	}
	copy(b, fmt.Sprint(m.serial))
	return b
}

func (m *model) put() {
	p, want := m.rnd.IntN(len(m.producers)), m.rnd.IntN(m.oracle.slots+2)
	v := m.ring.Reserve(&m.producers[p], want)
	if room := min(want, m.oracle.room(p)); v.N != room {
		m.t.Fatalf("reserved %d of %d, want %d; %+v", v.N, want, room, m.oracle)
	}
	for m.rnd.IntN(3) == 0 { // the consumer goes on while slots are filled
		m.take()
	}
	n := v.N
	if m.rnd.IntN(4) == 0 {
		n = m.rnd.IntN(v.N + 1)
	}
	for i := range n {
		b := m.payload()
		copy(v.Slot(i).SetSize(len(b)), b)
		v.Slot(i).Meta = p
		m.oracle.data = append(m.oracle.data, item{p, b})
	}
	v.Commit(n)
}

func (m *model) putControl() {
	b, o := m.payload(), m.oracle
	ok := m.ring.PutControl(len(b), -1, func(dst []byte) { copy(dst, b) })
	if want := !o.closed && len(o.control) < o.controls; ok != want {
		m.t.Fatalf("control packet taken: %v, want %v", ok, want)
	}
	if ok {
		o.control = append(o.control, item{-1, b})
	}
}

func (m *model) take() {
	o := m.oracle
	lane := &o.data
	if len(o.control) > 0 {
		lane = &o.control
	}
	limit := m.rnd.IntN(o.slots + 2)
	v := m.ring.Peek(limit)
	if v.N != min(limit, len(*lane)) {
		m.t.Fatalf("found %d of at most %d, want those of %+v", v.N, limit, *lane)
	}
	if v.N > 0 && v.Control() != (lane == &o.control) {
		m.t.Fatal("the wrong lane")
	}
	for i := range v.N {
		s, want := v.Slot(i), (*lane)[i]
		if s.Meta != want.from || !bytes.Equal(s.Packet, want.payload) {
			m.t.Fatalf("packet %d is %d's %.8q, want %d's %.8q", i, s.Meta, s.Packet, want.from, want.payload)
		}
	}
	n := v.N
	if m.rnd.IntN(3) == 0 {
		n = m.rnd.IntN(v.N + 1)
	}
	v.Release(n)
	*lane = (*lane)[n:]
}
