module gristmill

go 1.24
