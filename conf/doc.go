// Package conf reads wg-quick files and profiles, and makes a router.Config of
// them with what the host must be told beside it.
//
//	entry.conf ─┐
//	exit.conf  ─┴─LoadChain───▶ Instance: Config, Settings, Resolvers, Warnings
//	office.conf ──LoadProfile─▶
//	  └ names entry.conf, exit.conf, corp.conf
//
// # Hop files
//
// Load and Parse accept what wg-quick(8) and wg(8) accept: keys and sections in
// any case, comments anywhere, lists split on commas and spaces, sections and
// lists given several times. They are stricter where wg lets the last value win
// without a word: a single-valued key given twice is an error. What is not acted
// on in a file is warned about in one line each, never refused.
//
// # Chains
//
// LoadChain puts each file inside the one before it. There the inner hop wins:
// see Chain for the rule that decides which prefixes become routes.
//
// # Profiles
//
// A profile describes any tree of hops, in the same dialect:
//
//	[Interface]
//	DNS    = exit                  # the resolvers of exit's file
//
//	[Hop]
//	Name   = entry
//	Config = se-got.conf
//
//	[Hop]
//	Name   = exit
//	Via    = entry
//	Config = us-nyc.conf
//
//	[Hop]
//	Name   = corp
//	Via    = entry
//	Config = corp.conf
//	Routes = 10.20.0.0/16          # default: the file's AllowedIPs
//
// The keys of [Interface] are those of SettingList. Those of [Hop]:
//
//   - Name: 1 to 64 of a-z, A-Z, 0-9 and _=+.-; else the file's name.
//   - Config: the wg-quick file, in the profile's folder. Several, split on
//     commas, are a group: the first that is healthy has its routes.
//   - PrivateKey, Address, DNS, ListenPort, and [Peer] sections after it: the hop
//     itself, instead of Config.
//   - Via: the hop or group that carries this one. Of several, each peer takes the
//     one whose AllowedIPs have its endpoint, and the hop becomes several that
//     share a key: a WireGuard device with two carriers would let a peer roam
//     between them. An endpoint that is a name, or learned, takes the first.
//   - Routes: prefixes, @FILE with one prefix a line, or none. They must be inside
//     the AllowedIPs. They, and only they, can send traffic through fewer hops.
//   - OnDown: reject, drop, or the hop or group that stands in while this one is
//     down.
//   - Group: the group that this hop belongs to. Its routes are those of all its
//     hops together, or the AllowedIPs that all of them have.
//   - Probe: an address behind the hops of a group, pinged to see their health.
//   - Quiet, Patience, Return: after how many seconds a group's active hop that is
//     not heard is probed, and given up; and a preferred one takes over again. See
//     router.Group.
//   - MTU: instead of the file's.
//   - Fragment: yes lets the hop's link fragment.
//
// Along every path from the host's network inwards the rule of Chain holds for
// routes that come from files. Two hops of which neither carries the other must
// not have the same route, nor the same default.
//
// # Errors
//
// What needs no file is not checked here but by router.Compile: endpoints outside
// the AllowedIPs of their carrier, MTUs, families. An Error or a Warning names the
// file, the line and the key. Neither ever repeats a key, nor anything that might
// be one.
package conf
