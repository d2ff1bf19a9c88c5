//go:build !unix

package router

import "time"

// cpuTime returns 0: it is not known here.
func cpuTime() time.Duration { return 0 }
