# The part of nixpkgs' library that the modules use, so that they can be evaluated without nixpkgs. It merges definitions but
# checks no types. With NIXPKGS_LIB, the tests also use the real library.
let
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    elemAt
    filter
    foldl'
    head
    isAttrs
    isFunction
    isList
    length
    listToAttrs
    mapAttrs
    stringLength
    substring
    tail
    ;

  isOption = value: value._type or "" == "option";

  recursiveUpdate =
    old: new:
    if isAttrs old && isAttrs new && !(isOption new) && !(old ? outPath) then
      old // mapAttrs (name: value: if old ? ${name} then recursiveUpdate old.${name} value else value) new
    else
      new;

  last = list: elemAt list (length list - 1);
  plain = description: {
    inherit description;
    merge = last;
    getSubOptions = _: { };
  };

  # The definitions at a path, without those whose condition is false. A condition may depend on options that its content does
  # not define, so the content is checked first.
  definitions =
    path: value:
    if value._type or "" == "if" then
      let
        inside = definitions path value.content;
      in
      if inside != [ ] && value.condition then inside else [ ]
    else if path == [ ] then
      [ value ]
    else if value ? ${head path} then
      definitions (tail path) value.${head path}
    else
      [ ];

  isOverride = value: value._type or "" == "override";
  priorityOf = value: if isOverride value then value.priority else 100;

  # The definitions with the highest priority, which is the lowest number.
  valueOf =
    option: defs:
    let
      strongest = foldl' (least: value: if priorityOf value < least then priorityOf value else least) 1500 defs;
      used = map (value: if isOverride value then value.content else value) (
        filter (value: priorityOf value == strongest) defs
      );
    in
    if used != [ ] then
      option.type.merge used
    else if option ? default && option.type.name or "" == "submodule" then
      option.type.merge [ option.default ]
    else
      option.default or (throw "the option ${option.description} has no value");

  configOf =
    options: configs:
    let
      at =
        path:
        mapAttrs (
          name: value:
          if isOption value then
            valueOf value (concatMap (definitions (path ++ [ name ])) configs)
          else
            at (path ++ [ name ]) value
        );
    in
    at [ ] options;

  evalModules =
    { modules, specialArgs }:
    let
      load =
        module:
        let
          inline = isAttrs module || isFunction module;
          value = if inline then module else import module;
          loaded = if isFunction value then value (specialArgs // { inherit config lib; }) else value;
          whole = {
            # A file that is imported several times counts once.
            key = loaded.key or (if inline then null else toString module);
            imports = loaded.imports or [ ];
            options = loaded.options or { };
            config =
              if loaded ? config || loaded ? options then
                loaded.config or { }
              else
                removeAttrs loaded [
                  "_file"
                  "key"
                  "imports"
                ];
          };
        in
        concatMap load whole.imports ++ [ whole ];
      all = foldl' (
        seen: module:
        if module.key != null && builtins.any (other: other.key == module.key) seen then seen else seen ++ [ module ]
      ) [ ] (concatMap load modules);
      options = foldl' recursiveUpdate { } (map (module: module.options) all);
      config = configOf options (map (module: module.config) all);
    in
    {
      inherit config options;
    };

  types =
    listToAttrs (
      map
        (name: {
          inherit name;
          value = plain name;
        })
        [
          "bool"
          "str"
          "path"
          "port"
          "unspecified"
          "int"
        ]
    )
    // {
      # As in nixpkgs, two definitions conflict even if they are equal.
      package = plain "package" // {
        merge = defs: if length defs == 1 then head defs else throw "a package is defined multiple times";
      };
      anything = plain "anything" // {
        merge = foldl' recursiveUpdate { };
      };
      ints.between = _: _: plain "integer";
      ints.positive = plain "integer";
      either = one: _: one;
      oneOf = builtins.head;
      enum = _: plain "one of";
      strMatching = _: plain "string";
      nullOr = type: type;
      addCheck = type: check: type // { inherit check; };
      listOf = type: plain "list" // { merge = concatLists; };
      nonEmptyListOf = types.listOf;
      attrsOf = type: {
        description = "attribute set";
        merge =
          defs:
          let
            of = mapAttrs (name: _: concatMap (definitions [ name ]) defs) (foldl' (a: b: a // b) { } defs);
          in
          mapAttrs (name: valueOf { type = (type.named or (_: type)) name; }) (
            lib.filterAttrs (_: defined: defined != [ ]) of
          );
        inherit (type) getSubOptions;
      };
      # A submodule that is a function gets the name of its attribute.
      submodule =
        module:
        if isFunction module then
          types.submodule (module { name = "<name>"; }) // { named = name: types.submodule (module { inherit name; }); }
        else
          {
            name = "submodule";
            description = "submodule";
            merge =
              defs:
              (
                if module ? freeformType then
                  module.freeformType.merge (map (def: removeAttrs def (attrNames module.options)) defs)
                else
                  { }
              )
              // configOf module.options defs;
            getSubOptions = _: module.options;
          };
    };

  lib = {
    inherit
      evalModules
      filter
      foldl'
      isOption
      recursiveUpdate
      types
      ;
    inherit (builtins)
      any
      isAttrs
      isBool
      isList
      attrValues
      concatLists
      concatMap
      concatStringsSep
      listToAttrs
      mapAttrs
      groupBy
      replaceStrings
      sort
      ;
    mkOption = option: option // { _type = "option"; };
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    mkOverride = priority: content: {
      _type = "override";
      inherit priority content;
    };
    mkDefault = lib.mkOverride 1000;
    mkForce = lib.mkOverride 50;
    literalExpression = text: { inherit text; };
    literalMD = text: { inherit text; };
    genAttrs =
      names: f:
      listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );
    getExe = package: "${package}/bin/${package.meta.mainProgram or package.name}";
    hasSuffix = end: text: builtins.match ".*${end}" text != null;
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: list: if condition then list else [ ];
    optionalAttrs = condition: attrs: if condition then attrs else { };
    mapAttrs' = f: attrs: listToAttrs (map (name: f name attrs.${name}) (attrNames attrs));
    setAttrByPath =
      path: value: if path == [ ] then value else { ${head path} = lib.setAttrByPath (tail path) value; };
    nameValuePair = name: value: { inherit name value; };
    toList = value: if isList value then value else [ value ];
    mapAttrsToList = f: attrs: map (name: f name attrs.${name}) (attrNames attrs);
    filterAttrs =
      keep: attrs:
      listToAttrs (
        map (name: {
          inherit name;
          value = attrs.${name};
        }) (filter (name: keep name attrs.${name}) (attrNames attrs))
      );
    concatStrings = builtins.concatStringsSep "";
    concatMapStringsSep = separator: f: list: builtins.concatStringsSep separator (map f list);
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    # As in nixpkgs, every part keeps the complete context of the string.
    splitString =
      separator: text:
      map (lib.addContextFrom text) (filter builtins.isString (builtins.split separator text));
    addContextFrom = from: text: substring 0 0 from + text;
    unique = foldl' (seen: value: if builtins.elem value seen then seen else seen ++ [ value ]) [ ];
    allUnique = list: lib.unique list == list;
    optionalString = condition: text: if condition then text else "";
    boolToString = value: if value then "true" else "false";
    toIntBase10 = text: builtins.fromJSON (head (builtins.match "0*([0-9]+)" text));
    makeBinPath = packages: builtins.concatStringsSep ":" (map (package: "${package}/bin") packages);
  };
in
lib
