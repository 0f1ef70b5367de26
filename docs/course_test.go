package docs

// ofTheCourse are the systems of the course that the project came from: each has its row.
var ofTheCourse = []string{}
