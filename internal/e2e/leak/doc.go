// Package leak tests that nothing leaves the host in clear that only a tunnel
// should carry: in every phase of an instance's life, and whatever others do to
// the host meanwhile.
package leak
