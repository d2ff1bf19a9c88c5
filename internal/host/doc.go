// Package host tells the operating system what a TUN needs, and undoes it: the
// link's addresses and MTU, routes, rules, settings of the kernel, the firewall
// and the host's DNS. It also watches that all of it stays, looks up the host's
// own routes, and finds tunnels inside one another that nobody asked for.
//
// A [Config] is the whole desired state. [Host.Apply] turns it into a list of
// changes and compares them with what there is: in this order it does what is
// new, and then undoes what is gone, last first.
//
//	namespace   the TUN's own, if it has one
//	wall        the firewall: from here on nothing leaves that must not
//	sysctls     link   addresses   up
//	guards      unreachable routes to every routed prefix, and throw routes
//	routes      into the TUN
//	rules       send packets to them
//	dns
//
// Every change can do itself though it is half done already, undo itself though
// it is gone already, and say what it does as a "[#]" line. Each is written to a
// journal before it is done, so that another process can undo what a crashed one
// left ([Clean]), or take it over (Apply). First start, reload, adoption after a
// crash and the end are one operation. When a step fails, those before it are
// undone; when that fails too, a kill switch stays.
//
// # Routes
//
// A default route (all public addresses of a family), or routes that cover an
// endpoint of ours or have a hole (Exclude), go to a table of our own:
//
//	3200  fwmark MARK lookup main        our own datagrams never enter a tunnel by rule
//	3201  not fwmark MARK lookup TABLE
//	TABLE:  PREFIX dev TUN
//	        unreachable PREFIX metric 4278198272      when the TUN has vanished
//	        throw PREFIX                              LAN, Exclude, link-local multicast
//
// So what others put into the table main has no effect, however long its prefix,
// but for the prefixes that are thrown back to it. Of the LAN, those are only the
// private and link-local networks of the host's own addresses, and none inside a
// private prefix that is routed by name. Further instances have the next pair of
// priorities and the next table. The kill switch of each lets out the others' own
// datagrams as it does its own, by what their journals say: within a second of a
// change of theirs.
//
// There a prefix has no routes of its own where the longest shorter prefix that has
// it leads into the same hop with the same MTU: a default needs just that one.
//
// Other routes go to the table main, with guards whose metric comes right after
// theirs: a route of the host for the same prefix and a larger metric stays,
// unused also when the TUN vanishes, and a warning names it; one of the same
// metric is an error. A table given by number gets routes and guards and no
// rules, as with wg-quick. Routes and rules have the protocol [Protocol].
//
// Of a TUN without IPv6 (an MTU under 1280, or disabled) there are the guards
// alone, in whatever table: its packets are rejected, also when the host gets IPv6
// later.
//
// Linux only so far. Elsewhere every function fails with ErrUnsupported.
package host
