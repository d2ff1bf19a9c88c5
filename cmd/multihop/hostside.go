package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"multihop/internal/control"
	"multihop/internal/host"
)

const (
	tableOff  = "off" // the Table of who makes the routes
	mainTable = 254   // the number of the kernel's table main
)

// prepare reads the configuration and works out what is desired; it changes
// nothing yet. It prints the plan, and refuses what cannot or must not be.
func (in *instance) prepare(ctx context.Context) (*desired, error) {
	c, warnings, err := in.order.load(false)
	if err != nil {
		return nil, err
	}
	_, missing := os.Stat(filepath.Join(host.Dir, in.name+".json"))
	in.adopted = missing == nil
	in.host, err = host.New(in.name, &host.Options{
		Netns: c.Settings.Netns, Logger: in.log,
		Trace: in.progress.trace, Traced: in.progress.traced, Progress: in.progress.changes,
	})
	if c.Settings.Table == tableOff && errors.Is(err, host.ErrUnsupported) {
		in.log.Warn(err.Error())
		in.bare = true
	} else if err != nil {
		return nil, err
	}
	if err := in.nameFree(); err != nil {
		return nil, err
	}
	d, err := in.desire(ctx, c)
	if err != nil {
		return nil, err
	}
	d.warnings = append(warnings, d.warnings...)
	d.needs = needs(c) // before the folder is left
	if err := in.guardSession(d, sshPeers()); err != nil {
		return nil, err
	}
	in.progress.plan(in.name, d)
	return d, in.order.settle()
}

// nameFree checks that a TUN of that name can be made.
func (in *instance) nameFree() error {
	if in.bare {
		return nil
	}
	taken, err := in.host.Exists()
	if err == nil && taken {
		err = fmt.Errorf("%s: an interface of that name exists: choose another with --name", in.name)
	}
	return err
}

// guardSession refuses to cut the SSH session with any of peers.
func (in *instance) guardSession(d *desired, peers []netip.Addr) error {
	if in.bare {
		return nil
	}
	for _, peer := range peers {
		mend, err := in.host.Cuts(d.host, peer)
		if err != nil {
			return err
		}
		if mend != "" {
			return fmt.Errorf("this would cut the SSH session from %s: %s", peer, mend)
		}
	}
	return nil
}

// tellHost puts what is desired of the host in force there. After an error the
// host is as before.
func (in *instance) tellHost(ctx context.Context, d *desired) error {
	if in.bare {
		return nil
	}
	warnings, err := in.host.Apply(ctx, d.host)
	if err != nil {
		return err
	}
	in.told = true
	if err := control.SetProfile(control.Dir, in.name, d.conf.Name); err != nil {
		in.log.Warn("down and status will not know the profile's name", "err", err)
	}
	for _, w := range warnings {
		in.warn(w)
	}
	in.lookForTrouble(d)
	return nil
}

// warn tells whoever waits, and the log.
func (in *instance) warn(text string) {
	in.log.Warn(text)
	in.progress.warn(text)
}

// releaseHost undoes what the host was told, if the end was asked for, or if the
// start failed. Else everything stays, as after a crash: nothing is to leave in
// clear because something failed.
func (in *instance) releaseHost() error {
	asked := in.life.Err() != nil
	switch {
	case in.bare || in.host == nil:
		return nil
	case !in.told:
		return in.host.Release()
	case !asked && (in.up.Load() || in.adopted):
		in.log.Error("what was set up stays, so that nothing leaves in clear: the next start takes it over, multihop down " + in.name + " undoes it")
		return in.host.Release()
	}
	return errors.Join(in.host.Close(), control.ForgetProfile(control.Dir, in.name))
}

// routeTo looks up how datagrams of ours reach dst: past every tunnel.
func (in *instance) routeTo(dst netip.Addr) (host.Path, error) { return in.host.RouteTo(dst) }

// inNamespace calls f in the network namespace of the TUN.
func (in *instance) inNamespace(f func() error) error {
	if in.bare {
		return f()
	}
	return in.host.Do(f)
}

// allow lets datagrams to endpoints of hops on the host's network out. It refuses
// an address that the routes there are would send into the TUN.
func (in *instance) allow(endpoints []netip.AddrPort) error {
	if in.bare || in.inForce() == nil {
		return nil // setUp tells the host itself
	}
	if err := in.host.SetEndpoints(endpoints); err != nil {
		return fmt.Errorf("%w: multihop reload %s mends that", err, in.name)
	}
	return nil
}

// nested finds tunnels that are inside one another by accident: somebody else's
// inside ours, ours inside somebody else's.
func (in *instance) nested(c host.Config) (found []string, err error) {
	if in.bare {
		return nil, nil
	}
	nested, err := in.host.Nested(c)
	for _, n := range nested {
		found = append(found, n.String())
	}
	return found, err
}

// lookForTrouble tells what is wrong now and was not before.
func (in *instance) lookForTrouble(d *desired) {
	found, err := in.nested(d.host)
	if err != nil {
		in.log.Debug("other tunnels are not looked at", "err", err)
	}
	in.mu.Lock()
	before := in.trouble
	in.trouble = found
	in.mu.Unlock()
	for _, f := range found {
		if !slices.Contains(before, f) {
			in.warn(f)
		}
	}
}

// hostStatus returns what the host was told, for show.
func (in *instance) hostStatus(d *desired) control.Host {
	s, st := &d.conf.Settings, in.host.Status()
	h := control.Host{
		Table: "main", Mark: st.Mark, Netns: s.Netns, KillSwitch: st.KillSwitch,
		LAN: d.host.LAN != host.Off, Exclude: s.Exclude, Search: d.conf.Search,
	}
	if s.IPv6Direct {
		h.IPv6 = "direct"
	}
	switch {
	case s.Table == tableOff:
		h.Table = tableOff
	case st.Table != 0 && st.Table != mainTable:
		h.Table = fmt.Sprint(st.Table)
	}
	for _, r := range d.conf.Resolvers {
		h.DNS = append(h.DNS, control.Resolver{Addr: r.Addr, Hop: r.Hop})
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	h.Warnings = in.trouble
	return h
}
