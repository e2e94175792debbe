# What `gather` runs on Windows, as SYSTEM, with PowerShell 2.0 or later: it reads, and writes to its standard output
# alone.
#
# Lines that begin with #: divide the parts. The first part and the last one always go; of those in between, the places
# that are asked for. What is sent has no comments and no line breaks, so every statement ends with a semicolon, and no
# double quotes, for those are around the whole.

$ErrorActionPreference = 'Stop';
# Written past the host, which would break long lines to the width of a window that there is not.
$out = New-Object IO.StreamWriter ([Console]::OpenStandardOutput());
$lines = 0;
$tab = [string][char]9;

# Everything but printable ASCII as %uXXXX, a unit of UTF-16, so that also what is no Unicode comes as it is.
function Field([string]$text) { [regex]::Replace($text, '[^ -$&-~]', { '%u{0:X4}' -f [int][char]$args[0].Value }) };
function Row { $fields = @($args | ForEach-Object { Field $_ }); $out.WriteLine($fields -join $tab); $global:lines++ };

# What fails is told in a row, and the rest goes on. A block sees the variables of whoever runs it: these two have
# names that no block uses.
function Attempt($attempted, $action) { try { & $action } catch { Row error $attempted '' '' $_.Exception.Message '' } };
function Place($place, $block) { Row '@' $place '' '' '' ''; Attempt $place $block };

# Microseconds since 1970.
function Time($when) { if ($when) { $ticks = $when.ToUniversalTime().Ticks - 621355968000000000; [long](($ticks - $ticks % 10) / 10) } };
function WmiTime($text) { if ($text) { Time ([Management.ManagementDateTimeConverter]::ToDateTime($text)) } };

$hives = @{ HKLM = [Microsoft.Win32.Registry]::LocalMachine; HKU = [Microsoft.Win32.Registry]::Users };
$kinds = @{ String = 'REG_SZ'; ExpandString = 'REG_EXPAND_SZ'; Binary = 'REG_BINARY'; DWord = 'REG_DWORD'; MultiString = 'REG_MULTI_SZ'; QWord = 'REG_QWORD' };
$people = @($hives.HKU.GetSubKeyNames() | Where-Object { $_ -match '^S-1-(5-21|12-1)-' -and $_ -notmatch '_Classes$' });
$views = 'SOFTWARE\', 'SOFTWARE\WOW6432Node\';
$windows = 'Microsoft\Windows\CurrentVersion\';
$nt = 'Microsoft\Windows NT\CurrentVersion\';
$control = 'SYSTEM\CurrentControlSet\';

# The values of a key whose names fit; numbers in decimal and without sign, bytes in hex, lists with commas. One that
# cannot be read, such as one with a NUL in its name, hides no other.
function Values($hive, $path, $names) {
  Attempt ($hive + '\' + $path) {
    $key = $hives[$hive].OpenSubKey($path);
    if ($key) {
      foreach ($name in @($key.GetValueNames() | Where-Object { $_ -match $names })) {
        Attempt ($hive + '\' + $path + '\' + $name) {
          $kind = [string]$key.GetValueKind($name);
          $data = $key.GetValue($name, $null, 'DoNotExpandEnvironmentNames');
          if ($kind -eq 'DWord' -and $data -lt 0) { $data += 4294967296 };
          if ($kind -eq 'QWord' -and $data -lt 0) { $data += 18446744073709551616 };
          if ($data -is [byte[]]) { $data = [BitConverter]::ToString($data).Replace('-', '').ToLower() };
          if ($data -is [array]) { $data = $data -join ',' };
          $type = $kinds[$kind];
          if (!$type) { $type = 'REG_NONE' };
          Row registry_value ($hive + '\' + $path) $name $type $data '';
        }
      };
      $key.Close();
    }
  }
};
# The same of each key below one.
function Below($path, $names, $more) {
  Attempt ('HKLM\' + $path) {
    $key = $hives.HKLM.OpenSubKey($path);
    if ($key) { foreach ($sub in $key.GetSubKeyNames()) { Values HKLM ($path + '\' + $sub + $more) $names } }
  }
};

# A file, and what the block makes of it.
function File($file, $block) {
  Attempt $file.FullName {
    $text = '';
    if ($block) { $text = [string](& $block $file.FullName) };
    Row file $file.FullName $file.Name file $text $file.Length ('attributes=' + [int]$file.Attributes) ('created=' + (Time $file.CreationTime)) ('accessed=' + (Time $file.LastAccessTime)) ('written=' + (Time $file.LastWriteTime));
  }
};
# All files that a pattern means, hidden ones too; folders that are closed are told.
function Files($pattern, $block, [switch]$deep) {
  $found = @(Get-ChildItem $pattern -Force -Recurse:$deep -ErrorAction SilentlyContinue -ErrorVariable closed | Where-Object { !$_.PSIsContainer });
  foreach ($file in $found) { File $file $block };
  foreach ($one in $closed) { if ($one.CategoryInfo.Category -ne 'ObjectNotFound') { Row error $one.TargetObject '' '' $one.Exception.Message '' } };
};
$home_of_all = $env:SystemDrive + '\Users\*\AppData\Roaming\Microsoft\Windows\';

Row sortie-gather 1 '' '' '' '';
if ($env:PROCESSOR_ARCHITEW6432) { Row error 'powershell.exe' '' '' 'it is of 32 bits: what it sees of the registry and of System32 is what programs of 32 bits see' '' };

#: run_keys
Place run_keys {
  foreach ($name in 'Run', 'RunOnce') {
    foreach ($view in $views) { Values HKLM ($view + $windows + $name) '' };
    foreach ($sid in $people) { Values HKU ($sid + '\Software\' + $windows + $name) '' };
  }
};

#: services
Place services {
  Below ($control + 'Services') '^(ImagePath|Start)$' '';
  Below ($control + 'Services') '^ServiceDll$' '\Parameters';
};

#: tasks
# This reader refuses XML that refers to something else. A task that is no XML is one all the same.
Place tasks {
  Files ($env:windir + '\System32\Tasks') {
    $xml = New-Object Xml.XmlDocument;
    try { $reader = [Xml.XmlReader]::Create($args[0]); $xml.Load($reader); $reader.Close() } catch { };
    $actions = @($xml.SelectNodes('//*[local-name()=''Actions'']/*') | ForEach-Object {
      @($_.SelectNodes('*[local-name()!=''WorkingDirectory'']') | ForEach-Object { $_.get_InnerText() }) -join ' '
    });
    $actions -join '; ';
  } -deep;
};

#: processes
Place processes {
  foreach ($process in @(Get-WmiObject Win32_Process)) {
    $user = '';
    try { $owner = $process.GetOwner(); if ($owner.User) { $user = $owner.Domain + '\' + $owner.User } } catch { };
    Row process $process.ExecutablePath $process.Name '' $process.CommandLine '' ('pid=' + $process.ProcessId) ('parent_pid=' + $process.ParentProcessId) ('user=' + $user) ('created=' + (WmiTime $process.CreationDate));
  }
};

#: netstat
# The words for states are in the host's language.
Place netstat {
  foreach ($line in @(& ($env:windir + '\System32\netstat.exe') -ano)) {
    $word = @(-split $line);
    if ($word[0] -match '^(TCP|UDP)$' -and $word.Count -gt 3) {
      $state = '';
      if ($word.Count -gt 4) { $state = $word[3] };
      Row exec '' '' '' ($word -join ' ') '' ('protocol=' + $word[0].ToLower()) ('local=' + $word[1]) ('remote=' + $word[2]) ('state=' + $state) ('pid=' + $word[-1]);
    }
  }
};

#: users
Place users {
  Below ('SOFTWARE\' + $nt + 'ProfileList') '^ProfileImagePath$' '';
  foreach ($user in @(Get-WmiObject Win32_UserAccount -Filter LocalAccount=True)) {
    Row exec '' '' '' ($user.Caption + ' ' + $user.SID) '' ('user=' + $user.Caption) ('sid=' + $user.SID) ('disabled=' + $user.Disabled) ('locked=' + $user.Lockout);
  }
};

#: logons
# The two classes are joined by the number of the session; a dot stands for a double quote.
Place logons {
  $sessions = @{};
  foreach ($session in @(Get-WmiObject Win32_LogonSession)) { $sessions[$session.LogonId] = $session };
  foreach ($link in @(Get-WmiObject Win32_LoggedOnUser)) {
    if ($link.Dependent -match 'LogonId=.(\d+)') {
      $session = $sessions[$matches[1]];
      if ($session -and $link.Antecedent -match 'Domain=.(.*).,Name=.(.*).$') {
        $user = $matches[1] + '\' + $matches[2];
        Row exec '' '' '' ($user + ' ' + $session.LogonType + ' ' + $session.AuthenticationPackage) '' ('user=' + $user) ('session=' + $session.LogonId) ('logon_type=' + $session.LogonType) ('package=' + $session.AuthenticationPackage) ('created=' + (WmiTime $session.StartTime));
      }
    }
  }
};

#: ps_history
Place ps_history {
  foreach ($pattern in ($home_of_all + 'PowerShell\PSReadLine\*_history.txt'), ($env:windir + '\System32\config\systemprofile\AppData\Roaming\Microsoft\Windows\PowerShell\PSReadLine\*_history.txt')) {
    Files $pattern {
      $stream = [IO.File]::Open($args[0], 'Open', 'Read', 'ReadWrite,Delete');
      try {
        if ($stream.Length -gt 65536) { [void]$stream.Seek(-65536, 'End') };
        (New-Object IO.StreamReader ($stream)).ReadToEnd();
      } finally { $stream.Close() }
    };
  }
};

#: autoruns
Place autoruns {
  foreach ($view in $views) {
    $path = $view + $nt;
    Values HKLM ($path + 'Winlogon') '^(Shell|Userinit|Taskman|VmApplet|AppSetup)$';
    Values HKLM ($path + 'Windows') '^(AppInit_DLLs|LoadAppInit_DLLs)$';
    Below ($path + 'Image File Execution Options') '^(Debugger|VerifierDlls)$' '';
    Below ($path + 'SilentProcessExit') '^MonitorProcess$' '';
    Below ($view + 'Microsoft\Active Setup\Installed Components') '^StubPath$' '';
    Values HKLM ($view + $windows + 'Policies\Explorer\Run') '';
  };
  foreach ($sid in $people) {
    $path = $sid + '\Software\';
    Values HKU ($path + $nt + 'Winlogon') '^Shell$';
    Values HKU ($path + $nt + 'Windows') '^(Load|Run)$';
    Values HKU ($path + $windows + 'Policies\Explorer\Run') '';
    Values HKU ($sid + '\Environment') '^UserInitMprLogonScript$';
  };
  Values HKLM ($control + 'Control\Session Manager') '^BootExecute$';
  Values HKLM ($control + 'Control\Session Manager\AppCertDlls') '';
  Values HKLM ($control + 'Control\Lsa') ' Packages$';
  Below ($control + 'Control\Print\Monitors') '^Driver$' '';
  foreach ($folder in ($home_of_all + 'Start Menu\Programs\Startup'), ($env:ProgramData + '\Microsoft\Windows\Start Menu\Programs\Startup')) {
    Files ($folder + '\*') {
      if ($args[0] -match '\.lnk$') { $link = (New-Object -ComObject WScript.Shell).CreateShortcut($args[0]); $link.TargetPath + ' ' + $link.Arguments }
    };
  }
};

#: end
$out.WriteLine(@('END', $lines, '', '', '', '') -join $tab);
$out.Flush();
