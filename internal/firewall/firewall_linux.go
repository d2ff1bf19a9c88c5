package firewall

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// family is that of our tables: both IPv4 and IPv6.
const family = nftables.TableFamilyINet

// bufferSize is that of the netlink socket: a large transaction and the answers
// to it must fit.
const bufferSize = 8 << 20

// drainTime is ample to read what waits in the socket: the kernel answers before
// a request returns.
const drainTime = 20 * time.Millisecond

// A Firewall makes, replaces and removes tables in the network namespace that it
// was opened in. Only one table at a time has its endpoints set and is watched:
// that of the last Apply. It is safe for concurrent use.
type Firewall struct {
	plain bool // as if the kernel knew no owners of tables: for tests

	conn   *nftables.Conn // owns the table
	raw    *netlink.Conn  // conn's socket
	events *netlink.Conn  // for Watch, which joins its group

	mu      sync.Mutex
	applied *Config // nil: none, or removed
	flags   uint32  // of applied's table
	closed  bool
}

// Open returns a Firewall in the network namespace of the calling thread. Where
// the kernel has no nftables, its error or that of Apply wraps
// errors.ErrUnsupported.
func Open() (*Firewall, error) {
	var f Firewall
	var err error
	f.conn, err = nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
		f.raw = c
		return errors.Join(c.SetReadBuffer(bufferSize), c.SetWriteBuffer(bufferSize))
	}))
	if err == nil {
		f.events, err = netlink.Dial(unix.NETLINK_NETFILTER, nil)
	}
	if err != nil {
		if f.raw != nil {
			_ = f.raw.Close()
		}
		if errors.Is(err, unix.EPROTONOSUPPORT) {
			err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
		}
		return nil, fmt.Errorf("firewall: %w", err)
	}
	return &f, nil
}

// Close releases what f holds. Tables stay as they are, for the next Firewall.
// It ends Watch, and is idempotent.
func (f *Firewall) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	return errors.Join(f.conn.CloseLasting(), f.events.Close())
}

// tryLocked calls change, which uses f's socket. If it fails, answers of the
// kernel that it did not read may wait there: they are thrown away, or the next
// change would take them for its own.
func (f *Firewall) tryLocked(change func() error) error {
	if f.closed {
		return fs.ErrClosed
	}
	err := change()
	if err != nil {
		end := time.Now().Add(drainTime)
		_ = f.raw.SetReadDeadline(end)
		for time.Now().Before(end) {
			_, _ = f.raw.Receive()
		}
		_ = f.raw.SetReadDeadline(time.Time{})
	}
	return err
}

// Apply makes the table of c or replaces all of it, in one transaction: until it
// is done the old rules hold, from then on the new ones. After an error the old
// ones hold.
func (f *Firewall) Apply(c Config) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("firewall: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.tryLocked(func() (err error) {
		if f.flags, err = f.claimLocked(c.Table); err != nil {
			return err
		}
		return rulesOf(&c).replace(f.conn, &nftables.Table{Name: c.Table, Family: family})
	})
	if err != nil {
		return fmt.Errorf("firewall: table %s: %w", c.Table, err)
	}
	c.Endpoints = slices.Clone(c.Endpoints)
	f.applied = &c
	return nil
}

// SetEndpoints makes endpoints those of the last Apply's table, in one
// transaction that touches nothing else.
func (f *Firewall) SetEndpoints(endpoints []netip.AddrPort) error {
	if err := checkEndpoints(endpoints); err != nil {
		return fmt.Errorf("firewall: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.applied == nil {
		return errors.New("firewall: endpoints without a table")
	}
	c := *f.applied
	c.Endpoints = slices.Clone(endpoints)
	if c.KillSwitch {
		if err := f.tryLocked(func() error { return f.refillLocked(&c) }); err != nil {
			return fmt.Errorf("firewall: table %s: endpoints: %w", c.Table, err)
		}
	}
	f.applied = &c
	return nil
}

func (f *Firewall) refillLocked(c *Config) error {
	t := &nftables.Table{Name: c.Table, Family: family}
	for _, s := range endpointSets(c.Endpoints) {
		f.conn.FlushSet(s.nft(t))
		if err := s.fill(f.conn, t); err != nil {
			return err
		}
	}
	return f.conn.Flush()
}

// Remove removes a table with all that is in it. One that does not exist is no
// error; one of another Firewall is, unless its process has ended.
func (f *Firewall) Remove(table string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.tryLocked(func() error {
		f.conn.DelTable(&nftables.Table{Name: table, Family: family})
		return f.conn.Flush()
	})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("firewall: remove table %s: %w", table, f.whyLocked(table, err))
	}
	if f.applied != nil && f.applied.Table == table {
		f.applied = nil
	}
	return nil
}
