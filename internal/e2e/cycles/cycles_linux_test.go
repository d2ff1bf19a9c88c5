package cycles_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"multihop/internal/e2e/host"
)

var builds host.Builds

func TestMain(m *testing.M) { os.Exit(builds.Main(m)) }

const (
	// cycles is how often the instance is killed; MULTIHOP_CYCLES in the
	// environment overrides it.
	cycles = 200

	// limit is how long all of them may take; a busy machine makes fewer.
	limit = 200 * time.Second

	startTime = 30 * time.Second

	everything = "0.0.0.0/0, ::/0"
)

func count(t *testing.T) int {
	s := os.Getenv("MULTIHOP_CYCLES")
	if s == "" {
		return cycles
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("MULTIHOP_CYCLES: %v", err)
	}
	return n
}

// A life is an instance that is killed by SIGKILL at every moment of it, while
// traffic of every kind runs.
type life struct {
	n        *host.Network
	r        *host.Relays
	i        *host.Instance
	u        *host.Uplink
	traffic  *host.Traffic
	random   *rand.Rand
	took     map[string]time.Duration // by command, when it is not killed
	more     bool                     // the exit's file has another prefix
	done     int                      // cycles
	early    int                      // kills that came before the command's end
	finished int                      // and those that did not
}

// TestCycles kills the process each time at another moment: while it is up, in
// the middle of up and of reload, with nothing leaving in clear from the first up
// on; and in the middle of the very first up and of down, after which down leaves
// the host as it was.
func TestCycles(t *testing.T) {
	n := builds.Network(t)
	inside := n.Flows()
	outside := slices.Concat(n.BoundFlows(), n.ResolverFlows(), n.EndpointFlows())
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	l := &life{n: n, r: n.StartRelays(t), random: rand.New(rand.NewPCG(seed, 0)), took: make(map[string]time.Duration)}
	l.u = n.WatchUplink(t, slices.Concat(inside, outside), host.UplinkOptions{})
	others := n.Traffic(t, outside...)
	l.traffic = n.Traffic(t, inside...)

	l.traffic.Flow(t, 3, startTime)
	others.Run(t, time.Second)
	l.u.Every(t, inside, "detector")
	l.u.Every(t, outside, "detector")
	before := n.State(t)
	l.write(t)
	l.i = n.Instance(t, "mh0", "/etc/chain/entry.conf", "/etc/chain/exit.conf")
	start := time.Now()
	l.timed("up", func() { l.i.Up(t) })
	l.timed("reload", func() { l.i.Reload(t) })
	l.timed("down", func() { l.i.Down(t) })
	n.Same(t, before, "after the first down")
	l.i.Up(t)
	l.traffic.Flow(t, 1, startTime)
	up := n.State(t)

	total := count(t)
	l.closed(t, total*7/10, start)
	if t.Failed() {
		return
	}
	l.more = false
	l.write(t)
	l.i.Reload(t)
	l.traffic.Flow(t, 3, startTime)
	l.u.None(t, "cycles")
	n.Same(t, up, "after many cycles") // as after the first up: nothing has piled up
	if left := n.Host.Processes(n.Programs.Multihop); len(left) != 1 {
		t.Errorf("%d processes run, want 1", len(left))
	}
	l.i.Down(t)
	n.Same(t, before, "after down")

	l.open(t, total-total*7/10, start, before)
	t.Logf("%d cycles in %v; %d kills in the middle of a command, %d after its end",
		l.done, time.Since(start).Round(time.Second), l.early, l.finished)
	if l.early < l.finished/3 {
		t.Error("too many kills came too late to be in the middle of a command")
	}
	if log := l.i.Log(); strings.Contains(log, "panic") {
		t.Error("a panic in the log")
	}
	l.u.Mark(t)
	l.traffic.Flow(t, 3, startTime)
	l.u.Every(t, inside, "after down")
}

// closed kills an instance whose kill switch stands: nothing leaves in clear,
// whenever that is.
func (l *life) closed(t *testing.T, cycles int, start time.Time) {
	l.u.Mark(t)
	for k := range cycles {
		if time.Since(start) > limit*7/10 {
			tooFew(t, k, cycles)
			break
		}
		switch k % 3 {
		case 0: // from at once after up to long after the handshakes
			time.Sleep(time.Duration(k%8) * 50 * time.Millisecond)
			l.i.Kill(t)
		case 1:
			l.i.Kill(t)
			l.killIn(t, k, "up", "--name", "mh0", l.i.Args[0], l.i.Args[1])
		case 2:
			l.more = !l.more
			l.write(t)
			l.killIn(t, k, "reload", "mh0")
		}
		l.i.Up(t)
		l.done++
		if k%16 == 15 {
			l.traffic.Flow(t, 1, startTime)
		}
		if k%32 == 31 {
			l.u.None(t, "cycle "+strconv.Itoa(k+1))
		}
		if t.Failed() {
			return
		}
	}
	l.u.None(t, "cycles")
}

// open kills the first up of an instance, and down: what is left then, down
// undoes.
func (l *life) open(t *testing.T, cycles int, start time.Time, before string) {
	for k := range cycles {
		if time.Since(start) > limit {
			tooFew(t, k, cycles)
			break
		}
		if k%2 == 0 {
			l.killIn(t, k, "up", "--name", "mh0", l.i.Args[0], l.i.Args[1])
		} else {
			l.i.Up(t)
			l.killIn(t, k, "down", "mh0")
		}
		l.i.Down(t)
		l.done++
		l.n.Same(t, before, "after cycle "+strconv.Itoa(k)+" and down")
		if t.Failed() {
			return
		}
	}
}

// tooFew says that there was no time for all cycles, and fails the test if there
// were hardly any.
func tooFew(t *testing.T, done, cycles int) {
	t.Helper()
	t.Logf("the machine is busy: %d of %d cycles", done, cycles)
	if done < cycles/4 {
		t.Error("that is too few")
	}
}

// timed notes how long a command takes.
func (l *life) timed(command string, f func()) {
	start := time.Now()
	f()
	l.took[command] = time.Since(start)
}

// killIn runs a command and kills all in its middle: at a random time, or at one
// of the first writes of the journal, of which a reload like ours has none.
func (l *life) killIn(t *testing.T, k int, command string, args ...string) {
	t.Helper()
	at := host.Moment{After: time.Duration(l.random.Int64N(int64(l.took[command] * 3 / 4)))}
	if command != "reload" && k/2%2 == 0 {
		at = host.Moment{Write: 1 + l.random.IntN(12)}
	}
	if l.i.KillDuring(t, at, append([]string{command}, args...)...) {
		l.early++
	} else {
		l.finished++
	}
}

// write writes the chain's files.
func (l *life) write(t *testing.T) {
	t.Helper()
	allowed := everything
	if l.more {
		allowed += ", 203.0.113.128/25"
	}
	a := host.EntryAddr().V4
	l.n.Write(t, "/etc/chain", l.r.EntryFile(a, everything))
	l.n.Write(t, "/etc/chain", l.r.ExitFile(a, allowed))
}
