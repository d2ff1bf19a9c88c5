package resolv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// linkPatience is how long resolved may take to learn of a new interface.
const linkPatience = 5 * time.Second

// A server is a resolver of a link: a(iay) of D-Bus.
type server struct {
	Family  int32
	Address []byte
}

// A domain is one of a link: a(sb) of D-Bus.
type domain struct {
	Name  string
	Route bool // only: names are not completed with it
}

// servers are those of s for resolved.
func (s Settings) servers() []server {
	list := make([]server, len(s.Servers))
	for i, a := range s.Servers {
		list[i] = server{Family: unix.AF_INET6, Address: a.AsSlice()}
		if a.Is4() {
			list[i].Family = unix.AF_INET
		}
	}
	return list
}

// routes are the domains of s for resolved.
func (s Settings) routes() []domain {
	list := make([]domain, 0, len(s.Search)+1)
	for _, name := range s.Search {
		list = append(list, domain{Name: name})
	}
	if s.all() {
		list = append(list, domain{Name: ".", Route: true})
	}
	return list
}

// setLink gives the link its settings at resolved.
func (y *System) setLink(ctx context.Context, r Record) error {
	b, err := y.openBus(ctx, true)
	if err != nil {
		return err
	}
	defer b.close()
	i := y.indexOf(r.Link)
	if i == 0 {
		return fmt.Errorf("resolv: there is no interface %s", r.Link)
	}
	until := time.Now().Add(linkPatience)
	for {
		err = b.set(ctx, "SetLinkDNS", i, r.servers())
		if !isError(err, resolve1+".NoSuchLink") || time.Now().After(until) || ctx.Err() != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err == nil {
		err = b.set(ctx, "SetLinkDomains", i, r.routes())
	}
	if err == nil {
		err = b.set(ctx, "SetLinkDefaultRoute", i, r.all())
	}
	if err != nil {
		return fmt.Errorf("resolv: %w", err)
	}
	b.flush(ctx)
	return nil
}

// set calls a method that changes a link. A link that networkd looks after
// (LinkBusy) is changed there: the methods have the same names.
func (b *bus) set(ctx context.Context, method string, link int, args ...any) error {
	args = append([]any{int32(link)}, args...)
	err := b.manager(ctx, method, args...).err
	if isError(err, resolve1+".LinkBusy") {
		if method == "RevertLink" {
			method = "RevertLinkDNS"
		}
		err = b.call(ctx, network1, network1Path, network1Manager+"."+method, args...).err
	}
	return err
}

// flush has resolved forget the answers that it got elsewhere.
func (b *bus) flush(ctx context.Context) { _ = b.manager(ctx, "FlushCaches").err }

// linkIsSet reports whether the link still has its settings at resolved.
func (y *System) linkIsSet(ctx context.Context, r Record) (bool, error) {
	b, err := y.openBus(ctx, false)
	if err != nil {
		return false, err
	}
	defer b.close()
	var path dbus.ObjectPath
	err = b.manager(ctx, "GetLink", int32(y.indexOf(r.Link))).Store(&path)
	if isError(err, resolve1+".NoSuchLink") {
		return false, nil
	}
	var servers []server
	var domains []domain
	var all bool
	if err == nil {
		err = errors.Join(
			b.property(ctx, path, resolve1Link, "DNS", &servers),
			b.property(ctx, path, resolve1Link, "Domains", &domains),
			b.property(ctx, path, resolve1Link, "DefaultRoute", &all))
	}
	if err != nil {
		return false, fmt.Errorf("resolv: %w", err)
	}
	same := slices.EqualFunc(servers, r.servers(), func(a, b server) bool {
		return a.Family == b.Family && slices.Equal(a.Address, b.Address)
	})
	return same && slices.Equal(domains, r.routes()) && all == r.all(), nil
}

// revertLink takes the settings of the link away. A link that has gone, or is
// another one of the same name, has none.
func (y *System) revertLink(ctx context.Context, r Record) error {
	i := y.indexOf(r.Link)
	if i == 0 || r.Index != 0 && r.Index != i {
		return nil
	}
	b, err := y.openBus(ctx, false)
	if err != nil {
		return nil // resolved has gone too
	}
	defer b.close()
	err = b.set(ctx, "RevertLink", i)
	b.flush(ctx)
	if err != nil && !isError(err, resolve1+".NoSuchLink") {
		return fmt.Errorf("resolv: %w", err)
	}
	return nil
}

// resolvedServers are the resolvers that resolved asks, apart from those of a
// link.
func (y *System) resolvedServers(ctx context.Context, link string) (Upstream, error) {
	b, err := y.openBus(ctx, true)
	if err != nil {
		return Upstream{}, err
	}
	defer b.close()
	own := int32(y.indexOf(link))
	var u Upstream
	for _, property := range []string{"DNS", "FallbackDNS"} {
		var list []struct {
			Link    int32 // 0: of no link
			Family  int32
			Address []byte
		}
		if err := b.property(ctx, resolve1Path, resolve1Manager, property, &list); err != nil {
			return Upstream{}, fmt.Errorf("resolv: %w", err)
		}
		for _, s := range list {
			if a, ok := netip.AddrFromSlice(s.Address); ok && (s.Link == 0 || s.Link != own) {
				u.add(zoned(a, s.Link))
			}
		}
		if len(u.Servers)+len(u.Local) > 0 {
			break // the fallback is asked if there is nothing else
		}
	}
	return u, nil
}

// zoned adds its link to an address that is good on that link only.
func zoned(a netip.Addr, link int32) netip.Addr {
	if !a.Is6() || !a.IsLinkLocalUnicast() || link == 0 {
		return a
	}
	i, err := net.InterfaceByIndex(int(link))
	if err != nil {
		return a
	}
	return a.WithZone(i.Name)
}
