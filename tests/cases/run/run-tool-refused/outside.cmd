@echo off
rem a tool of the cases
