package queue

import (
	"sync"
	"time"
)

// A waiter is one producer that waits for room. Waiters are pooled: a busy
// ring makes its producers wait often.
type waiter struct {
	wake  chan struct{}
	timer *time.Timer
}

func newWaiter() any {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &waiter{wake: make(chan struct{}, 1), timer: t}
}

// A Waiters is a pool of what Wait needs. One serves any number of rings.
// The zero value is not usable: call NewWaiters.
type Waiters struct{ pool sync.Pool }

// NewWaiters returns an empty pool.
func NewWaiters() *Waiters { return &Waiters{pool: sync.Pool{New: newWaiter}} }

// Wait waits until p may put need packets, for at most d, and reports whether
// it may. A closed ring never gets room. It returns early when Wake is called,
// when packets were released but not enough, and when another producer was
// faster: callers that still have time wait again.
func (r *Ring[M]) Wait(p *Producer, need int, d time.Duration, pool *Waiters) bool {
	r.mu.Lock()
	if r.roomLocked(p) >= need || r.closed {
		defer r.mu.Unlock()
		return !r.closed
	}
	w := pool.pool.Get().(*waiter)
	r.waiters = append(r.waiters, w)
	was := p.active()
	p.waiting++
	r.countLocked(was, p)
	r.mu.Unlock()

	w.timer.Reset(d)
	select {
	case <-w.wake:
	case <-w.timer.C:
	}
	w.timer.Stop()

	r.mu.Lock()
	defer r.mu.Unlock()
	for i, o := range r.waiters {
		if o == w {
			r.waiters = append(r.waiters[:i], r.waiters[i+1:]...)
			break
		}
	}
	select { // a wake that came after the time-out
	case <-w.wake:
	default:
	}
	was = p.active()
	p.waiting--
	room := r.roomLocked(p) >= need
	r.countLocked(was, p)
	pool.pool.Put(w)
	return room
}

// Wake ends every Wait that is under way.
func (r *Ring[M]) Wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wakeLocked()
}

func (r *Ring[M]) wakeLocked() {
	for i, w := range r.waiters {
		select {
		case w.wake <- struct{}{}:
		default:
		}
		r.waiters[i] = nil
	}
	r.waiters = r.waiters[:0]
}
