package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Host is what the operating system is told of one TUN. Its methods are safe
// for concurrent use, from any thread; they act on the network namespace in
// which New was called, or that of Options.Netns.
type Host struct {
	netns    string
	trace    func(string)
	traced   func() bool
	progress func(done, total int)
	log      *slog.Logger
	status   atomic.Pointer[Status]

	mu       sync.Mutex
	k        *kernel
	journal  *journal
	routed   *state           // our routes, as far as known; the rest is the journal's
	sure     bool             // routed is right, and all of the journal was done by this process
	config   *Config          // of the last Apply; nil: none
	extra    []netip.AddrPort // endpoints since then
	met      *around          // what was around at the last pass; nil: not known
	restored allowance        // of lines in the log
	seen     time.Time        // change of the journals' directory that Watch knows of
	missing  bool             // the TUN's namespace does not exist
	closed   bool
}

// New returns the Host of the TUN name, which need not exist yet, with the
// journal of what an earlier process may have left. It changes nothing.
func New(name string, o *Options) (*Host, error) {
	if o == nil {
		o = &Options{}
	}
	h := &Host{netns: o.Netns, trace: o.Trace, traced: o.Traced, progress: o.Progress, log: o.Logger}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	dir := o.Dir
	if dir == "" {
		dir = Dir
	}
	err := errors.New("not a name for a TUN")
	if validName(name) {
		h.k = &kernel{tun: name, dir: dir}
		if h.journal, err = readJournal(dir, name); err == nil {
			h.k.outer, err = here()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("host: %s: %w", name, err)
	}
	return h, nil
}

// validName reports whether wg-quick would take name for an interface.
func validName(name string) bool {
	return regexp.MustCompile(`^[a-zA-Z0-9_=+.-]{1,15}$`).MatchString(name) && name != "." && name != ".."
}

// Choose fills in c.Mark if c needs one, and sets aside a table and priorities
// for this instance: call it before the sockets are opened, and give them the
// mark. What was chosen once stays until Close. Another mark than that in use
// takes effect with Apply.
func (h *Host) Choose(c *Config) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.begin(true)
	if err == nil {
		err = h.choose(c, true)
	}
	return h.wrap(err)
}

// Plan returns what Apply would do, one line per change, "[#] ip ...": no more
// than limit lines, after which comes "... and more"; 0: all. It does nothing, not
// even what Choose does.
func (h *Host) Plan(c Config, limit int) (lines []string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := *h.journal
	defer func() { *h.journal = before }()
	h.k.warnings = nil
	err = h.begin(false)
	defer h.leaveEmpty()
	if err == nil {
		err = h.choose(&c, false)
	}
	if err != nil {
		return nil, h.wrap(err)
	}
	steps, _, err := h.steps(&c, false)
	for _, s := range steps {
		lines = append(lines, h.lines(s)...)
		if limit > 0 && len(lines) > limit {
			return append(lines[:limit], "... and more"), nil
		}
	}
	return lines, h.wrap(err)
}

// Apply makes the host as c says: first what is new, then it undoes what is
// gone. What c has in common with the Config before is not touched. After an
// error everything is as it was before; only when that fails too, the journal
// keeps what there is, and a kill switch stays.
func (h *Host) Apply(ctx context.Context, c Config) (warnings []string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.k.warnings = nil
	if err := h.begin(true); err != nil {
		return nil, h.wrap(err)
	}
	if err := h.choose(&c, true); err != nil {
		return nil, h.wrap(err)
	}
	c.Routes, c.Exclude = slices.Clone(c.Routes), slices.Clone(c.Exclude)
	if err := h.pass(ctx, &c); err != nil {
		return h.k.warnings, h.wrap(err)
	}
	h.config, h.extra = &c, nil
	if err := h.announce(); err != nil {
		h.k.warn("other instances do not know of our endpoints, and their kill switches may stop us: %v", err)
	}
	return h.k.warnings, nil
}

// lines returns what a step does as "[#] ..." lines.
func (h *Host) lines(s step) []string {
	out := s.lines(h.k.tun)
	for i, l := range out {
		if h.netns != "" && rank(cmp.Or(s.new, s.old)) != 0 {
			l = "ip netns exec " + h.netns + " " + l
		}
		out[i] = "[#] " + l
	}
	return out
}

// pass leads from what there is to c.
func (h *Host) pass(ctx context.Context, c *Config) error {
	steps, want, err := h.steps(c, !h.sure)
	if err != nil {
		return err
	}
	if err := h.run(ctx, steps); err != nil {
		h.sure, h.met = false, nil
		return err
	}
	h.routed, h.sure = &state{guards: want.guards, tuns: want.tuns}, true
	h.met = want.around
	h.tell(c)
	return nil
}

// steps returns the steps to c, and what they lead to.
func (h *Host) steps(c *Config, ensure bool) ([]step, *state, error) {
	want, err := h.want(c)
	if err != nil {
		return nil, nil, err
	}
	if !h.sure {
		places := h.journal.places()
		for _, c := range want.early {
			if p, ok := c.(*place); ok && h.journal.index(p.key()) < 0 {
				places = append(places, p)
			}
		}
		if h.routed, err = h.k.ourRoutes(places); err != nil {
			return nil, nil, err
		}
	}
	h.k.sure = h.sure
	steps, err := h.k.steps(h.journal.Changes, h.routed, want, ensure)
	return steps, want, err
}

func (h *Host) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("host: %s: %w", h.k.tun, err)
}
