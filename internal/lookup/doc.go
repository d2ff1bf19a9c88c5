// Package lookup finds the addresses of a name by asking given resolvers, with
// sockets that the caller chooses: marked ones, which leave past the tunnels,
// or sockets inside a tunnel. The host's own resolver is never asked, since its
// queries would take the routes of everybody.
//
// An address is its own answer, and the hosts file comes first, as users expect
// of a name in a file. Then each resolver is asked for A and AAAA records (RFC
// 1035, RFC 3596) over UDP, with EDNS(0) for answers of up to 1232 bytes (RFC
// 6891), again over TCP if the answer is truncated. Names are complete: no
// search domain is appended.
//
// Whoever can put packets on the path can answer a plain query, and WireGuard
// authenticates the peer whatever its address is. Against everybody else, each
// query has a socket of its own with a port that is chosen, and a random
// identifier, and an answer counts only if it comes from the resolver's address
// and repeats identifier and question (RFC 5452).
package lookup
