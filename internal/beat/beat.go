// Package beat lets what a process does regularly happen at the same moments. A
// wake-up costs more than what is done then, and one serves all that is due.
package beat

import "time"

// Until returns how long it is until the next whole multiple of every, as the clock
// counts: at most every (twice that before 1970), and never zero. A ticker that is reset
// to it after each tick ticks together with all others of that kind.
func Until(every time.Duration) time.Duration {
	return every - time.Duration(time.Now().UnixNano())%every
}
