// Package docs tests the documentation: every fenced block of README.md and of docs/ is
// run, compiled or parsed.
//
// It owns the meaning of a block's info string, and the rule by which outputs are
// equal. It does not know the content of the pages. Folders with tests of their own are
// left to those (see ownTests). Nothing is written into the tree: each page gets a
// directory with the built programs in bin/ and a copy of the examples. Pages are
// tested in parallel, the blocks of a page from top to bottom.
//
// The info string says what a block is:
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
// White space does not count in outputs, "…" stands for any text, and ids, times and
// the like are equal to each other (see volatile). Each loopback port of a page is
// replaced by a free one, in commands, files and programs.
//
// HTML comments before a block say what its info string cannot:
//
//	<!-- not run: WHY -->        neither run nor compiled; listed in notRun
//	<!-- with: FILE or DIR -->   objects that a yaml block refers to
//	<!-- needs: PROGRAM -->      or rabbitmq: not run where that is missing
//	<!-- meanwhile -->           its last command goes on while the next blocks run
package docs
