// Package host tells the operating system what a TUN needs, and undoes it: the
// link's MTU and state, its addresses, a route per prefix. It also looks up the
// host's own routes and watches them change.
//
// The order of Configure: no automatic link-local address, addresses as /32 and
// /128 (the mask in a file's Address makes no route), MTU, link up, routes. If
// a step fails, those before it are undone. Routes are in the table main, have
// protocol Protocol, the MTU of their hop, and the metric that wins. They replace
// no other route: one for the same prefix and of the same metric is an error; one
// of a larger metric stays, unused until Close, and a warning names it. A TUN that
// vanishes takes all of it along, so a crash leaves nothing.
//
// Linux only so far. Elsewhere every function fails with ErrUnsupported.
package host
