package host

import "time"

const (
	burst  = 30               // lines at once
	refill = 10 * time.Second // for another one
)

// An allowance bounds how often something is said: a burst at once, and from then
// on one in ten seconds. The zero value is ready to use.
type allowance struct {
	spent  int
	last   time.Time // when it was last refilled
	unsaid int       // since the last that was said
}

// take reports whether something may be said now, and how much was not before
// it.
func (a *allowance) take(now time.Time) (ok bool, unsaid int) {
	if n := int(now.Sub(a.last) / refill); n >= a.spent {
		a.spent, a.last = 0, now
	} else if n > 0 {
		a.spent -= n
		a.last = a.last.Add(time.Duration(n) * refill)
	}
	if a.spent >= burst {
		a.unsaid++
		return false, 0
	}
	a.spent++
	unsaid, a.unsaid = a.unsaid, 0
	return true, unsaid
}
