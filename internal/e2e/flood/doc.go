// Package flood tests what `multihop run` does with more packets than it can
// carry: its memory stays bounded, the traffic that it can carry goes on, and
// when the flood ends everything works again at once. Its tests keep the
// machine busy, and so are apart from those that measure time.
package flood
