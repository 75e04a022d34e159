// Package docs holds the documentation to its word: every fenced block of README.md
// and of docs/ is run, compiled or read by the code it is meant for.
//
// It owns what a block's info string means and which output counts as equal. It does
// not know what the pages say, and leaves folders to the tests that own them (see
// ownTests). Nothing is written into the tree: each page gets a directory of its own,
// with the built programs in bin/ and a copy of the examples. Pages are tested side
// by side, the blocks of a page from top to bottom.
//
// What a block is, by its info string:
//
//	sh         commands; each must exit with 0
//	console    "$ " begins a command; what follows is its output
//	yaml       objects, checked as by `warren config validate`
//	yaml FILE  the same, and saved for the commands below it
//	go         statements, or declarations: compiled; with "// Output:" also run
//	go FILE    a program, compiled and run by `go run ./DIR`
//	json       parsed
//	mermaid    a known kind of diagram
//
// In outputs white space does not count, "…" stands for anything, and ids, times and
// the like are equal to each other (see volatile). Addresses are those of the pages:
// a port of theirs becomes a free one, in commands, files and programs.
//
// HTML comments before a block say what its info string cannot:
//
//	<!-- not run: WHY -->        neither run nor compiled; listed in notRun
//	<!-- with: FILE or DIR -->   objects that a yaml block refers to
//	<!-- needs: PROGRAM -->      or rabbitmq: not run where that is missing
//	<!-- meanwhile -->           its last command goes on while the next blocks run
package docs
