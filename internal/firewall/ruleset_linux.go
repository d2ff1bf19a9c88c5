package firewall

import (
	"net/netip"

	"github.com/google/nftables"
)

// A ruleset is what a table holds.
type ruleset struct {
	sets   []set
	chains []chain
}

// A chain is a list of rules. One without a hook is jumped to.
type chain struct {
	name  string
	hook  *hook
	rules []rule
}

// A hook is where the kernel enters a chain.
type hook struct {
	at       *nftables.ChainHook
	atName   string
	priority *nftables.ChainPriority
	prioName string
	drop     bool // policy
}

// rulesOf returns the table that c asks for.
func rulesOf(c *Config) ruleset {
	rs := ruleset{
		sets:   addrSets("tunnel", c.Tunnel),
		chains: []chain{guardChain(c)},
	}
	if c.Mark != 0 {
		rs.chains = append(rs.chains, restoreChain(c), saveChain(c))
	}
	if c.KillSwitch {
		rs.sets = append(rs.sets, endpointSets(c.Endpoints)...)
		rs.sets = append(rs.sets, addrSets("resolvers", c.Resolvers)...)
		rs.sets = append(rs.sets, otherSets(c.Others)...)
		rs.sets = append(rs.sets, prefixSets("exclude", c.Exclude)...)
		rs.sets = append(rs.sets, dnsSet())
		// A chain comes before those that jump to it.
		rs.chains = append(rs.chains, outsideChain(c), outputChain(c), forwardChain(c))
	}
	return rs
}

// guardChain drops what reached a tunnel address by a way that leads to none.
// Before connection tracking, so that such packets leave no trace there.
func guardChain(c *Config) chain {
	var rules []rule
	for _, name := range append([]string{"lo", c.TUN}, c.TUNs...) {
		rules = append(rules, rule{iifname(name), accept()})
	}
	return chain{
		name:  "guard",
		hook:  &hook{nftables.ChainHookPrerouting, "prerouting", nftables.ChainPriorityRaw, "raw", false},
		rules: append(rules, rule{daddrIn(v4, "tunnel"), drop()}, rule{daddrIn(v6, "tunnel"), drop()}),
	}
}

// restoreChain and saveChain are the last two rules of wg-quick, for our mark
// alone.
func restoreChain(c *Config) chain {
	return chain{
		name:  "restore",
		hook:  &hook{nftables.ChainHookPrerouting, "prerouting", nftables.ChainPriorityMangle, "mangle", false},
		rules: []rule{{l4proto(udp), ctMark(c.Mark), setMark(c.Mark)}},
	}
}

func saveChain(c *Config) chain {
	return chain{
		name:  "save",
		hook:  &hook{nftables.ChainHookPostrouting, "postrouting", nftables.ChainPriorityMangle, "mangle", false},
		rules: []rule{{mark(c.Mark), l4proto(udp), setCtMark(c.Mark)}},
	}
}

// outputChain is what programs of this host, and its kernel, may send.
func outputChain(c *Config) chain {
	rules := []rule{
		{oifname("lo"), accept()},
		{oifname(c.TUN), accept()},
	}
	for _, f := range families() {
		rules = append(rules,
			rule{mark(c.Mark), endpointIn(f), accept()},
			rule{mark(c.Mark), dport(udp, 53), daddrIn(f, "resolvers"), accept()},
			rule{mark(c.Mark), dport(tcp, 53), daddrIn(f, "resolvers"), accept()},
			rule{otherEndpointIn(f), accept()},
			rule{dport(udp, 53), otherResolverIn(f), accept()},
			rule{dport(tcp, 53), otherResolverIn(f), accept()},
		)
	}
	rules = append(rules, linkRules()...)
	rules = append(rules, rule{jump("outside")}, rule{reject()})
	return chain{
		name:  "output",
		hook:  &hook{nftables.ChainHookOutput, "output", nftables.ChainPriorityFilter, "filter", true},
		rules: rules,
	}
}

// linkRules accept what a link needs, which no router passes on.
func linkRules() []rule {
	return []rule{
		// RFC 2131: a client that is not answered by its server, because it asked
		// it alone, asks all of them.
		{daddr(netip.MustParsePrefix("255.255.255.255/32")), ports(udp, 68, 67), accept()},
		// RFC 8415, 7.1.
		{saddr(netip.MustParsePrefix("fe80::/10")), daddr(netip.MustParsePrefix("ff02::1:2/128")), ports(udp, 546, 547), accept()},
		// RFC 4861: routers do not send on, and receivers do not take, any other
		// hop limit.
		{icmp6Types(133, 137), hopLimit(255), accept()},
		// RFC 2710 and 3810: multicast listener reports.
		{daddr(netip.MustParsePrefix("ff02::/16")), icmp6Types(131, 132), hopLimit(1), accept()},
		{daddr(netip.MustParsePrefix("ff02::/16")), icmp6Types(143, 143), hopLimit(1), accept()},
	}
}

// forwardChain is what others may send through this host.
func forwardChain(c *Config) chain {
	rules := []rule{
		{oifname(c.TUN), accept()},
		{iifname(c.TUN), answers(), accept()},
	}
	for _, name := range c.TUNs {
		rules = append(rules, rule{iifname(name), answers(), accept()})
	}
	for _, f := range families() {
		rules = append(rules, rule{saddrIn(f, "exclude"), answers(), accept()})
	}
	return chain{
		name:  "forward",
		hook:  &hook{nftables.ChainHookForward, "forward", nftables.ChainPriorityFilter, "filter", true},
		rules: append(rules, rule{jump("outside")}, rule{drop()}),
	}
}

// outsideChain accepts what may pass outside the tunnel, for this host and for
// others, and returns with all else.
func outsideChain(c *Config) chain {
	var rules []rule
	for _, name := range c.TUNs {
		rules = append(rules, rule{oifname(name), accept()})
	}
	rules = append(rules, rule{isDNS(), returns()})
	for _, f := range families() {
		rules = append(rules, rule{daddrIn(f, "exclude"), accept()})
	}
	type link struct {
		name   string
		family ipFamily
	}
	seen := make(map[link]bool)
	for _, l := range c.LAN {
		rules = append(rules, rule{oifname(l.Interface), daddr(l.Prefix), accept()})
		on := link{l.Interface, familyOf(l.Prefix.Addr())}
		if seen[on] {
			continue
		}
		seen[on] = true
		for _, p := range linkLocal(on.family) {
			rules = append(rules, rule{oifname(l.Interface), daddr(p), accept()})
		}
	}
	return chain{name: "outside", rules: rules}
}

// linkLocal returns what is local to a link of a LAN, besides its prefixes.
func linkLocal(f ipFamily) []netip.Prefix {
	if f == v6 {
		return []netip.Prefix{netip.MustParsePrefix("ff02::/16")}
	}
	return []netip.Prefix{
		netip.MustParsePrefix("224.0.0.0/24"),
		netip.MustParsePrefix("239.255.0.0/16"), // RFC 2365, 6.1
		netip.MustParsePrefix("255.255.255.255/32"),
	}
}
