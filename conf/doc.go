// Package conf reads wg-quick files and combines them into a router.Config.
//
//	entry.conf ─Load─▶ File ─┐
//	exit.conf  ─Load─▶ File ─┴─Chain─▶ router.Config, warnings, what was left out
//
// Load and Parse accept what wg-quick(8) and wg(8) accept: keys and sections in
// any case, comments anywhere, lists split on commas and spaces, sections and
// lists given several times. They are stricter where wg lets the last value win
// without a word: a single-valued key given twice is an error. What a file
// asks for and this version does not do yet (DNS, hooks, Table, FwMark,
// SaveConfig) is warned about in one line each, never refused.
//
// Chain puts each file inside the one before it. There the inner hop wins: see
// Chain for the rule that decides which prefixes become routes.
//
// What needs no file is not checked here but by router.Compile: cycles,
// endpoints and routes outside the AllowedIPs, MTUs, families.
//
// An Error or a Warning names the file, the line and the key. Neither ever
// repeats a key, nor anything that might be one.
package conf
