// Package naive is what the router's configuration means, written down as
// plainly as possible, for tests: a list of routes that is searched from end to
// end, packets whose checksums are added up anew. It shares no code with what it
// judges.
package naive
