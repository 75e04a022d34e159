// Package message reads and writes the protobuf messages inside an Any. Reading is honest:
// a field that is set and not implemented is an error that names its path.
//
// What is implemented is one table (supported.go), kept readable in
// testdata/supported.txt. [Unpack] first checks the bytes against the table (grammar.go);
// only what does not pass is walked field by field, for the error's path (honest.go). A
// TypedStruct stands for the message that it describes.
//
// Of Warren it imports field. All functions are pure and safe for concurrent use.
package message
