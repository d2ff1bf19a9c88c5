// Package cycles kills an instance under traffic, starts it again, and does so
// many times: nothing leaves in clear, and nothing piles up.
package cycles
