//go:build race

package nat

// raceEnabled reports whether the race detector slows this build down.
const raceEnabled = true
