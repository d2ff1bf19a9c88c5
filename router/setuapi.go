package router

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// What the errno line of the WireGuard configuration protocol says: negated
// errno of Linux, on every system.
const (
	uapiRefused   = -1  // EPERM: it would break the tree
	uapiIO        = -5  // EIO
	uapiMissing   = -19 // ENODEV: no hop of that name
	uapiInvalid   = -22 // EINVAL
	uapiPortInUse = -98 // EADDRINUSE
)

// A UAPIError says why SetUAPI changed nothing.
type UAPIError struct {
	Code int64 // a negated errno of Linux
	Err  error
}

func (e *UAPIError) Error() string { return e.Err.Error() }
func (e *UAPIError) Unwrap() error { return e.Err }

// ErrorCode returns e.Code, as the errors of wireguard-go do.
func (e *UAPIError) ErrorCode() int64 { return e.Code }

// SetUAPI does the "set" operation of the WireGuard configuration protocol for
// one hop: it reads lines to the blank one, or to the end, and applies what they
// say as Apply would, all or nothing, until the next Apply. Routes stay as they
// are: a set that takes from a hop the AllowedIPs of one of its routes, or of the
// endpoint of a hop that it carries, or may as one of a group, or its last peer, is
// refused, and so is the listen port of a carried hop. The error is a *UAPIError.
func (r *Router) SetUAPI(hop string, lines io.Reader) error {
	sets, err := readUAPISet(lines)
	if err == nil {
		err = r.setUAPI(hop, sets)
	}
	if err == nil {
		return nil
	}
	r.log.Warn("a UAPI set is refused", "hop", hop, "err", err)
	return codedUAPI(hop, err)
}

// EditUAPI returns a configuration with what a set operation says of one of its
// hops, for who keeps what Apply is given; it changes nothing. It refuses what
// would cut off the hops that are carried now; the rest is for Compile to say. What
// is set to what it is anyhow - a port that was chosen, the address of a name, of
// a peer that has roamed - stays as cfg has it. The error is a *UAPIError.
func (r *Router) EditUAPI(cfg Config, hop string, lines io.Reader) (Config, error) {
	sets, err := readUAPISet(lines)
	if err == nil {
		cfg, err = r.editUAPI(cfg, hop, sets)
	}
	return cfg, codedUAPI(hop, err)
}

// codedUAPI returns err as a *UAPIError about a hop; nil for nil.
func codedUAPI(hop string, err error) error {
	if err == nil {
		return nil
	}
	coded := &UAPIError{Code: uapiIO, Err: err}
	if was := (*UAPIError)(nil); errors.As(err, &was) {
		coded.Code = was.Code
	}
	coded.Err = fmt.Errorf("router: hop %s: %w", hop, err)
	return coded
}

func (r *Router) setUAPI(hop string, sets []uapiSet) error {
	r.applying.Lock()
	defer r.applying.Unlock()
	switch {
	case r.isClosing():
		return net.ErrClosed
	case r.current == nil:
		return errNoSuchHop()
	}
	cfg := *cloneConfig(*r.current.cfg)
	for i := range cfg.Hops {
		cfg.Hops[i].MTU = r.current.asked[cfg.Hops[i].Name] // derived anew
	}
	cfg, err := r.editUAPI(cfg, hop, sets)
	if err != nil {
		return err
	}
	plan, err := Compile(cfg)
	if err != nil {
		return &UAPIError{uapiRefused, err}
	}
	err = r.applyLocked(plan)
	if errors.Is(err, syscall.EADDRINUSE) {
		return &UAPIError{uapiPortInUse, err}
	}
	return err
}

func errNoSuchHop() error { return &UAPIError{uapiMissing, errors.New("there is no such hop")} }

// editUAPI returns cfg as the lines change it.
func (r *Router) editUAPI(cfg Config, name string, sets []uapiSet) (Config, error) {
	cfg = *cloneConfig(cfg)
	live := r.table.Load().hop(name)
	i := slices.IndexFunc(cfg.Hops, func(h Hop) bool { return h.Name == name })
	if live == nil || i < 0 {
		return cfg, errNoSuchHop()
	}
	h := &cfg.Hops[i]
	was := *h
	was.Peers = slices.Clone(h.Peers)
	made := make(map[Key]bool)
	for _, s := range sets {
		live.keep(&s, &was)
		if err := s.apply(h, made); err != nil {
			return cfg, err
		}
	}
	if err := r.keepsChildren(live, h); err != nil {
		return cfg, &UAPIError{uapiRefused, err}
	}
	return cfg, nil
}

// keep has a line that sets what is so already say what the configuration does.
func (h *hop) keep(s *uapiSet, was *Hop) {
	switch s.key {
	case "listen_port":
		if s.number == h.listenPort.Load() {
			s.number = uint32(was.ListenPort)
		}
	case "fwmark":
		if s.number == h.conf().FwMark {
			s.number = was.FwMark
		}
	case "endpoint":
		if i := was.peerOf(s.peer); i >= 0 && h.isAt(s.peer, s.text) {
			s.text = was.Peers[i].Endpoint
		}
	}
}

// isAt reports whether the device sends to a peer at that address and port.
func (h *hop) isAt(peer Key, at string) bool {
	h.endMu.Lock()
	defer h.endMu.Unlock()
	e := h.ends[peer]
	return e != nil && (e.seen == at || e.seen == "" && e.addr.String() == at)
}

// keepsChildren reports, as an error, which hop could not be carried by live any
// more if that became h; for a hop of a group, whether or not it serves now. Compile
// knows endpoints that are configured, not those that names have or peers roamed to.
func (r *Router) keepsChildren(live *hop, h *Hop) error {
	t := r.table.Load()
	was := live.conf()
	for _, child := range t.order {
		via := child.conf().Via
		if g := t.group(via); via != h.Name && (g == nil || !slices.Contains(g.cfg.Hops, h.Name)) {
			continue
		}
		for _, a := range child.endpoints() {
			if was.reaches(a, "") != nil {
				continue // nor does it now
			}
			if err := h.reaches(a, "its carrier"); err != nil {
				return fmt.Errorf("hop %s: %w", child.name, err)
			}
		}
	}
	return nil
}

// readUAPISet reads the lines of a set operation.
func readUAPISet(lines io.Reader) ([]uapiSet, error) {
	var sets []uapiSet
	var peer Key
	inPeer := false
	s := bufio.NewScanner(lines)
	for s.Scan() && s.Text() != "" {
		set, err := parseUAPISet(s.Text(), inPeer)
		if err != nil {
			return nil, &UAPIError{uapiInvalid, err}
		}
		if set.key == "public_key" {
			peer, inPeer = set.secret, true
		}
		set.peer = peer
		sets = append(sets, set)
	}
	if err := s.Err(); err != nil {
		return nil, &UAPIError{uapiIO, err}
	}
	return sets, nil
}

// peerOf returns the index of the peer with that key; -1: the hop has none.
func (h *Hop) peerOf(key Key) int {
	for i := range h.Peers {
		if h.Peers[i].PublicKey == key {
			return i
		}
	}
	return -1
}

// takePrefix takes a prefix from every peer of the hop.
func (h *Hop) takePrefix(a netip.Prefix) {
	for i := range h.Peers {
		h.Peers[i].AllowedIPs = deletePrefix(h.Peers[i].AllowedIPs, a)
	}
}
