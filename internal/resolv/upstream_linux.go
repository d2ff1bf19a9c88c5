package resolv

import "context"

// Upstream returns the resolvers that the host uses, apart from those of the
// TUN link ("": it has none yet): resolved's own and not its stub, or those of
// resolv.conf. Where programs ask a cache on this host, its resolvers are
// returned if it is known to tell them.
func (y *System) Upstream(ctx context.Context, link string) (Upstream, error) {
	now, err := y.read()
	if err != nil {
		return Upstream{}, err
	}
	rest := now.without(y.gone(link))
	owner := y.owner(rest)
	if owner == stub || owner == uplink {
		if u, err := y.resolvedServers(ctx, link); err == nil {
			return u, nil
		}
	}
	var u Upstream
	if owner == byResolvconf && link != "" { // the file has the link's own
		for _, a := range y.records(y.prefix() + link) {
			u.add(a)
		}
	}
	if len(u.Servers) == 0 {
		for _, a := range nameservers(y.content(rest)) {
			u.add(a)
		}
	}
	for _, name := range behindCaches() {
		if len(u.Servers) > 0 || len(u.Local) == 0 {
			break
		}
		if file, err := readAll(y.path(name)); err == nil {
			for _, a := range nameservers(file) {
				u.add(a)
			}
		}
	}
	return u, nil
}

// behindCaches are the files in which those who start a cache on this host
// write whom it asks.
func behindCaches() []string {
	return []string{
		"/run/systemd/resolve/resolv.conf",        // resolved, that is not on the bus
		"/run/NetworkManager/no-stub-resolv.conf", // NetworkManager, for dnsmasq and others
		"/run/dnsmasq/resolv.conf",                // resolvconf, for dnsmasq
	}
}
