package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// structType is a struct of the package.
type structType struct {
	name   string
	doc    comment
	fields []field
}

// field is a field of a struct that is encoded as JSON.
type field struct {
	goName   string
	name     string // in JSON
	required bool
	typ      ast.Expr
	doc      comment
}

// comment is a parsed doc comment.
type comment struct {
	text    string // without markers, on one line
	markers []marker
}

// marker is a line such as "+warren:default=2s".
type marker struct{ name, value string }

// parse reads the structs of the package in dir.
func parse(dir string) (map[string]*structType, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", dir, err)
	}
	structs := map[string]*structType{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read source: %w", err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("parse source: %w", err)
		}
		for _, decl := range file.Decls {
			collect(decl, structs)
		}
	}
	return structs, nil
}

func collect(decl ast.Decl, into map[string]*structType) {
	types, ok := decl.(*ast.GenDecl)
	if !ok || types.Tok != token.TYPE {
		return
	}
	for _, spec := range types.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		s, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		doc := t.Doc
		if doc == nil {
			doc = types.Doc
		}
		into[t.Name.Name] = &structType{name: t.Name.Name, doc: readComment(doc), fields: readFields(s)}
	}
}

func readFields(s *ast.StructType) []field {
	var out []field
	for _, f := range s.Fields.List {
		if f.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			continue // the compiler has reported it
		}
		name, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		goName := name
		if len(f.Names) == 1 {
			goName = f.Names[0].Name
		}
		out = append(out, field{goName, name, !strings.Contains(options, "omitempty"), f.Type, readComment(f.Doc)})
	}
	return out
}

func readComment(group *ast.CommentGroup) comment {
	var c comment
	var words []string
	for line := range strings.Lines(group.Text()) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "+"); ok {
			name, value, _ := strings.Cut(rest, "=")
			c.markers = append(c.markers, marker{name, strings.Trim(value, "`")})
		} else if line != "" {
			words = append(words, line)
		}
	}
	c.text = strings.Join(words, " ")
	return c
}

// sentence is the comment with the JSON name that operators know in place of the Go
// name. A name of one plain word keeps its capital at the head of the sentence.
func (c comment) sentence(goName, name string) string {
	rest, ok := strings.CutPrefix(c.text, goName+" ")
	plain := strings.ToLower(name) == name
	switch {
	case !ok, plain && strings.EqualFold(goName, name):
		return c.text
	case plain:
		return strings.ToUpper(name[:1]) + name[1:] + " " + rest
	default:
		return name + " " + rest
	}
}
